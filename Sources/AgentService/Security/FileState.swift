import MarkedYAML
import SystemPackage

/// What a file is, as far as changes of it count. Blocks.
///
/// Not by `stat`: two changes within one tick of the file system's clock look alike.
enum FileState {
  /// Tells one content of a file from another, or says why there is none.
  static func mark(_ path: String) -> String {
    do throws(FileProblems) {
      var hasher = Hasher()
      hasher.combine(try BoundedFile.read(path: path))
      return String(hasher.finalize())
    } catch {
      return error.description
    }
  }

  /// Whether everybody may read or write a file; false where that can't be told.
  static func isOpenToAll(_ path: String) -> Bool {
    // A file that can't be looked at is told of by whoever reads it.
    guard let state = try? Stat(FilePath(path)) else { return false }
    return !state.permissions.isDisjoint(with: [.otherRead, .otherWrite])
  }
}
