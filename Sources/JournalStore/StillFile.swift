import Glibc
import Ports
import RolloutModel

/// A journal's file where nothing can be made beside it, not even the index of the write-ahead log that SQLite wants for reading.
/// It's read as it lies there, without locks, and each look at it counts only if nobody wrote to it meanwhile.
struct StillFile: Sendable {
  private struct Stamp: Equatable {
    var file: ino_t
    var size: off_t
    var seconds: time_t
    var nanoseconds: Int
  }

  private let path: String
  private let stamp: Stamp

  /// Nil where something can be made beside the file, or where there is a write-ahead log: what is in it would be passed over.
  init?(_ path: String, in directory: String) {
    guard access(directory, W_OK) != 0, let stamp = Self.stamp(of: path) else { return nil }
    self.path = path
    self.stamp = stamp
  }

  /// The name under which SQLite reads the file so.
  var uri: String {
    var name = path.hasPrefix("/") ? "file://" : "file:"
    for byte in path.utf8 {
      let scalar = Unicode.Scalar(byte)
      if StateFolder.isPlain(byte) || scalar == "/" {
        name.unicodeScalars.append(scalar)
      } else {
        name += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }
    return name + "?mode=ro&immutable=1"
  }

  /// Throws where somebody has written to the file since it was opened.
  func check() throws(JournalError) {
    guard Self.stamp(of: path) != stamp else { return }
    throw JournalError(
      "somebody writes to the journal \(path), and it can't be read meanwhile in a folder where this user can make nothing",
      hint: "try again, or make the folder writable for this user")
  }

  /// Nil where there is no such file, or a write-ahead log beside it.
  private static func stamp(of path: String) -> Stamp? {
    var about = stat()
    if stat(path + "-wal", &about) == 0, about.st_size > 0 { return nil }
    guard stat(path, &about) == 0, about.st_mode & S_IFMT == S_IFREG else { return nil }
    return Stamp(
      file: about.st_ino, size: about.st_size, seconds: about.st_mtim.tv_sec,
      nanoseconds: about.st_mtim.tv_nsec)
  }
}
