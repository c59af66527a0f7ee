import Glibc

/// A file that lies whole and durable under a temporary name, and takes its own in one step; gone when it doesn't.
final class StagedFile: Sendable {
  private let folder: OpenFolder
  private let name: String
  private let temporary: String

  /// Writes the file. Its mode is the one it has from the beginning: no other user can open it meanwhile.
  init(_ bytes: [UInt8], as name: String, isSecret: Bool, in folder: OpenFolder) throws(AuthorityError) {
    self.folder = folder
    self.name = name
    temporary = ".\(name).\(String(UInt64.random(in: .min ... .max), radix: 16))"
    let mode: mode_t = isSecret ? 0o600 : 0o644
    let file = openat(
      folder.descriptor, temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mode)
    guard file >= 0 else { throw .unusable(folder.path, "can't be written to", errno) }
    defer { close(file) }
    let code = Self.write(bytes, to: file)
    guard code == 0 else {
      unlinkat(folder.descriptor, temporary, 0)
      throw .unusable(folder.path(of: name), "can't be written", code, hint: "free space there")
    }
  }

  deinit { unlinkat(folder.descriptor, temporary, 0) }

  /// Takes the name, in the place of a file that had it. The folder is synced by whoever placed the last one.
  func place() throws(AuthorityError) {
    guard renameat(folder.descriptor, temporary, folder.descriptor, name) == 0 else {
      throw .unusable(folder.path(of: name), "can't be put in its place", errno)
    }
  }

  /// The error's code, or 0.
  private static func write(_ bytes: [UInt8], to file: Int32) -> Int32 {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return count < 0 ? errno : EIO }
      rest = rest.dropFirst(count)
    }
    return fsync(file) == 0 ? 0 : errno
  }
}
