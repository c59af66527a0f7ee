import Crypto
import FoundationEssentials

/// The host program on this machine, and where it goes on a host.
struct HostProgram: Sendable {
  /// The file on this machine.
  let path: String
  let size: Int
  /// SHA-256, in hexadecimal.
  let digest: String

  /// The folder in the user's home, which is where sshd starts programs.
  static let folder = ".cache/switchyard"

  /// The name on the host: relative, so that no shell need expand it.
  var remotePath: String { "\(Self.folder)/switchyard-host-\(digest.prefix(12))" }

  /// Reads the file once. It blocks: not for the loop.
  init(path: String) throws(LocalFileError) {
    self.path = path
    let file = try LocalFile(path)
    defer { file.close() }
    var hash = SHA256()
    var offset = 0
    while offset < file.size {
      let bytes = try file.read(at: offset, count: min(1 << 20, file.size - offset))
      guard !bytes.isEmpty else {
        throw LocalFileError(path: path, code: 0, other: "it became shorter while read")
      }
      hash.update(data: Data(bytes))
      offset += bytes.count
    }
    guard file.size > 0 else { throw LocalFileError(path: path, code: 0, other: "it is empty") }
    size = file.size
    digest = hash.finalize().map { byte in
      let text = String(byte, radix: 16)
      return byte < 16 ? "0" + text : text
    }.joined()
  }
}
