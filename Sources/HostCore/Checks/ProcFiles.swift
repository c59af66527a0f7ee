import Glibc
import RolloutModel

/// Reads small files that the kernel makes up.
enum ProcFiles {
  /// The file's text, at most `limit` bytes of it; nil where it can't be read.
  static func text(_ path: String, limit: Int = 1 << 20) -> String? {
    let number = open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return nil }
    let file = Descriptor(owning: number)
    var bytes: [UInt8] = []
    while bytes.count < limit {
      // What vanishes while it is read (a process that ended) reads as far as it came.
      guard let piece = try? readOnce(file.number, limit: 64 * 1024, what: path), !piece.isEmpty else {
        break
      }
      bytes += piece
    }
    return String(decoding: bytes.prefix(limit), as: UTF8.self)
  }

  /// Where a link leads; nil where it can't be read.
  static func link(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 256)
    let count = readlink(path, &buffer, buffer.count)
    guard count > 0 else { return nil }
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
