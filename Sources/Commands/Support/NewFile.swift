import CoreFoundation
import Glibc
import RolloutModel

/// A file that appears under its name when it is finished, whole and for its owner alone, and never in another file's place.
final class NewFile: Sendable {
  private let path: String
  /// Where it's written until then; gone when nobody finishes it.
  private let temporary: String
  private let descriptor: Int32

  /// Refuses a name that is taken before anything is written.
  init(_ path: String) async throws {
    let opened = try await offThePool { try Self.open(path) }
    (self.path, temporary, descriptor) = (path, opened.temporary, opened.descriptor)
  }

  deinit {
    close(descriptor)
    unlink(temporary)
  }

  /// Appends text.
  func write(_ text: String) async throws {
    let (path, descriptor) = (path, descriptor)
    try await offThePool {
      var rest = Array(text.utf8)[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw Self.failure(path, errno, "free space there") }
        rest = rest.dropFirst(count)
      }
    }
  }

  /// Gives the file its name, durably.
  func finish() async throws {
    let (path, temporary, descriptor) = (path, temporary, descriptor)
    try await offThePool {
      guard fsync(descriptor) == 0 else { throw Self.failure(path, errno, "look for errors of the disk") }
      // A link, where a rename would take another file's place.
      guard link(temporary, path) == 0 else {
        throw errno == EEXIST
          ? Self.isTaken(path)
          : Self.failure(path, errno, "name a file on a file system with hard links")
      }
      let folder = Glibc.open(Self.folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard folder >= 0 else { throw Self.failure(path, errno, "name a file in a folder that you may read") }
      defer { close(folder) }
      guard fsync(folder) == 0 else { throw Self.failure(path, errno, "look for errors of the disk") }
    }
  }

  private static func open(_ path: String) throws -> (temporary: String, descriptor: Int32) {
    guard let last = path.utf8.last, last != UInt8(ascii: "/") else {
      throw CommandError.invalid("\(escapedForTerminal(path)) names no file")
    }
    var about = stat()
    guard lstat(path, &about) != 0 else { throw isTaken(path) }
    // Made for its owner alone.
    var name = Array("\(path).XXXXXX".utf8CString)
    let descriptor = mkstemp(&name)
    guard descriptor >= 0 else {
      throw CommandError.invalid(
        "\(escapedForTerminal(path)) can't be made: \(String(cString: strerror(errno))); name a file in a folder that you may write to"
      )
    }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    let temporary = String(
      decoding: name.prefix(while: { $0 != 0 }).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return (temporary, descriptor)
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func isTaken(_ path: String) -> CommandError {
    CommandError.invalid("\(escapedForTerminal(path)) is there already; name another file, or move it away")
  }

  private static func failure(_ path: String, _ code: Int32, _ hint: String) -> CommandError {
    CommandError.tool(
      "\(escapedForTerminal(path)) can't be written: \(String(cString: strerror(code))); \(hint)")
  }
}
