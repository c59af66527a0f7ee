import Glibc

/// A file of the controller's machine could not be used.
package struct LocalFileError: Error, Hashable, Sendable, CustomStringConvertible {
  var path: String
  var code: Int32
  /// What is wrong where no system call failed.
  var other: String?

  package var description: String { "\(path): \(other ?? String(cString: strerror(code)))" }
}

/// An open file, read from any place. It blocks: not for the loop. `close()` ends it.
package struct LocalFile: Sendable {
  let path: String
  package let size: Int
  private let descriptor: Int32

  package init(_ path: String) throws(LocalFileError) {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw LocalFileError(path: path, code: errno) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let code = errno
      Glibc.close(descriptor)
      throw LocalFileError(path: path, code: code)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      Glibc.close(descriptor)
      throw LocalFileError(path: path, code: 0, other: "not a regular file")
    }
    size = Int(status.st_size)
  }

  package func close() { Glibc.close(descriptor) }

  /// Up to `count` bytes from `offset`; fewer only at the file's end.
  package func read(at offset: Int, count: Int) throws(LocalFileError) -> [UInt8] {
    var code: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        let got = pread(
          descriptor, buffer.baseAddress?.advanced(by: filled), count - filled, off_t(offset + filled))
        if got < 0, errno == EINTR { continue }
        if got < 0 { code = errno }
        if got <= 0 { return }
        filled += got
      }
    }
    if code != 0 { throw LocalFileError(path: path, code: code) }
    return bytes
  }

  /// The whole of a file that is not longer than `limit`.
  static func contents(_ path: String, limit: Int) throws(LocalFileError) -> [UInt8] {
    let file = try LocalFile(path)
    defer { file.close() }
    guard file.size <= limit else {
      throw LocalFileError(path: path, code: 0, other: "longer than \(limit) bytes")
    }
    return try file.read(at: 0, count: file.size)
  }
}
