import Glibc

/// Reads a file that a person wrote, within a bound.
public enum BoundedFile {
  /// The most bytes that such a file may have: 1 MiB.
  public static let limit = 1 << 20

  /// The file's bytes. Errors name the file, and say what would be right: not there, not readable, no regular file,
  /// larger than the bound.
  public static func read(path: String) throws(FileProblems) -> [UInt8] {
    let bytes = try read(path: path, upTo: limit + 1)
    guard bytes.count <= limit else { throw tooLarge(path) }
    return bytes
  }

  /// The first 64 KiB of a file of any size. Errors as for ``read(path:)``, the bound aside.
  public static func beginning(of path: String) throws(FileProblems) -> [UInt8] {
    try read(path: path, upTo: 1 << 16)
  }

  private static func read(path: String, upTo count: Int) throws(FileProblems) -> [UInt8] {
    // O_NONBLOCK: opening a named pipe must not wait for its writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw unreadable(path, errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw unreadable(path, errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "not a regular file"
      throw FileProblems(file: path, what: "this is \(kind)", instead: "name a file")
    }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while bytes.count < count {
      let got = Glibc.read(descriptor, &chunk, min(chunk.count, count - bytes.count))
      if got < 0, errno == EINTR { continue }
      if got < 0 { throw unreadable(path, errno) }
      if got == 0 { break }
      bytes += chunk.prefix(got)
    }
    return bytes
  }

  static func tooLarge(_ file: String) -> FileProblems {
    FileProblems(
      file: file, what: "the file is larger than 1 MiB",
      instead: "split it, or check that it is the right file")
  }

  private static func unreadable(_ path: String, _ code: Int32) -> FileProblems {
    FileProblems(
      file: path, what: "the file can't be read: \(String(cString: strerror(code)))",
      instead: "check the path and its permissions")
  }
}
