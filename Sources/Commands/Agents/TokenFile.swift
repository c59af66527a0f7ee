import Agents
import CoreFoundation
import FoundationEssentials
import Glibc
import RolloutModel

/// A file of tokens, `HOST TOKEN` on each line, for its owner alone.
enum TokenFile {
  private static let limit = 16 << 20

  /// Writes a new file, durably. One that is there is refused.
  static func write(_ tokens: [(host: String, token: AgentToken)], to path: String) throws {
    let shown = escapedForTerminal(path)
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else {
      let why = errno == EEXIST ? "is there already" : "can't be made: \(String(cString: strerror(errno)))"
      throw CommandError.invalid("--token-file \(shown) \(why); name a new file")
    }
    defer { close(file) }
    let bytes = Array(tokens.map { "\($0.host) \($0.token.text)\n" }.joined().utf8)
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(file, $0.baseAddress.map { $0 + done }, $0.count - done)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      done += count
    }
    guard done == bytes.count, fsync(file) == 0 else {
      let code = errno
      unlink(path)
      throw CommandError.tool("--token-file \(shown) can't be written: \(String(cString: strerror(code)))")
    }
  }

  /// The tokens in a file, by host. One that others may read is refused: its tokens may be known.
  static func read(_ path: String) throws -> [String: AgentToken] {
    let shown = escapedForTerminal(path)
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else {
      throw CommandError.invalid("--token-file \(shown) can't be read: \(String(cString: strerror(errno)))")
    }
    defer { close(file) }
    var about = stat()
    guard fstat(file, &about) == 0, about.st_mode & S_IFMT == S_IFREG, Int(about.st_size) <= limit else {
      throw CommandError.invalid("--token-file \(shown) is no file of tokens")
    }
    guard about.st_mode & 0o077 == 0 else {
      throw CommandError.invalid(
        "--token-file \(shown) may be read by others; if somebody could have, register the hosts anew, else chmod 600 it"
      )
    }
    var bytes = [UInt8](repeating: 0, count: Int(about.st_size))
    let count = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
    guard count == bytes.count else {
      throw CommandError.invalid("--token-file \(shown) can't be read whole")
    }
    var tokens: [String: AgentToken] = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      // What stands there is not quoted: it may be a token.
      guard words.count == 2, let token = AgentToken(String(words[1])) else {
        throw CommandError.invalid("--token-file \(shown) has a line that is no HOST TOKEN")
      }
      tokens[String(words[0])] = token
    }
    return tokens
  }
}
