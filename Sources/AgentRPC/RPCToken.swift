import Glibc
import NIOHTTP1
import Ports
import RolloutModel

/// The token that agents ask for beside the certificate. Nothing shows it: not a message, not a log, not a dump of values.
struct RPCToken: Sendable, CustomStringConvertible, CustomReflectable {
  private let text: String

  private static let longest = 512

  /// Reads it from a file that belongs to us or root, and to nobody else's eyes.
  init(file path: String) throws(DoorError) {
    let place = escapedForTerminal(path)
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw Self.unusable(place, String(cString: strerror(errno)), "rpc: in the agent file names it")
    }
    defer { close(descriptor) }
    var state = stat()
    guard fstat(descriptor, &state) == 0, state.st_mode & S_IFMT == S_IFREG else {
      throw Self.unusable(place, "it is no file", "rpc: in the agent file names it")
    }
    guard state.st_mode & 0o077 == 0, state.st_uid == geteuid() || state.st_uid == 0 else {
      throw Self.unusable(place, "it is not its owner's alone", "chmod 600, and let it be yours")
    }
    var bytes = [UInt8](repeating: 0, count: Self.longest + 2)
    let count = read(descriptor, &bytes, bytes.count)
    guard count >= 0 else { throw Self.unusable(place, String(cString: strerror(errno)), "look at the disk") }
    var token = bytes.prefix(count)
    while let last = token.last, last == 0x0A || last == 0x0D { token.removeLast() }
    guard (16...Self.longest).contains(token.count), token.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw Self.unusable(
        place, "it holds no token", "write 16 to \(Self.longest) visible ASCII characters in one line")
    }
    text = String(decoding: token, as: UTF8.self)
  }

  /// Adds the header that carries it.
  func add(to headers: inout HTTPHeaders) { headers.add(name: "Authorization", value: "Bearer \(text)") }

  var description: String { "a token" }
  var customMirror: Mirror { Mirror(self, children: []) }

  private static func unusable(_ place: String, _ why: String, _ hint: String) -> DoorError {
    DoorError(.local, "the token's file \(place) can't be used: \(why)", hint: hint)
  }
}
