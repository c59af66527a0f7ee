import CLinux
import Glibc

/// The host program as it travels: packed by gzip, to less than half of its size, in a file without a name.
final class PackedProgram: Sendable {
  let size: Int
  private let file: LocalFile

  /// Packs the program. It blocks for some tenths of a second: not for the loop.
  init(_ program: HostProgram) throws(LocalFileError) {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    let descriptor = open_unnamed(folder)
    guard descriptor >= 0 else { throw LocalFileError(path: folder, code: errno) }
    do throws(LocalFileError) {
      // The quickest packing: what it lacks in density it gains in time.
      let packing = try runLocalProgram(
        ["gzip", "-1", "-n", "-c", program.path], within: .seconds(60), outputTo: descriptor)
      guard packing.status == 0 else {
        let why = String(decoding: packing.errors, as: UTF8.self).split(whereSeparator: \.isNewline)
        throw LocalFileError(path: "gzip", code: 0, other: why.joined(separator: " "))
      }
      file = try LocalFile(owning: descriptor, path: program.path)
    } catch {
      close(descriptor)
      throw error
    }
    size = file.size
  }

  deinit { file.close() }

  /// Up to `count` bytes from `offset`; fewer only at the end. It blocks: not for the loop.
  func read(at offset: Int, count: Int) throws(LocalFileError) -> [UInt8] {
    try file.read(at: offset, count: count)
  }
}
