import Agents
import CoreFoundation
import Glibc
import RolloutModel

/// The file of a token, for its owner alone; `rpc: {token: FILE}` of an agent file names it.
enum TokenFile {
  /// Writes a new file, durably. One that is there is refused.
  static func write(_ token: AgentToken, to path: String) throws {
    let shown = escapedForTerminal(path)
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else {
      let why = errno == EEXIST ? "is there already" : "can't be made: \(String(cString: strerror(errno)))"
      throw CommandError.invalid("--token-file \(shown) \(why); name a new file")
    }
    defer { close(file) }
    let bytes = Array((token.text + "\n").utf8)
    guard Glibc.write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0 else {
      let code = errno
      unlink(path)
      throw CommandError.tool("--token-file \(shown) can't be written: \(String(cString: strerror(code)))")
    }
    // Its name has to last as well: the registry will know no more of the token than its digest.
    let slash = path.lastIndex(of: "/")
    let folder = open(
      slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? ".",
      O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    defer { if folder >= 0 { close(folder) } }
    guard folder >= 0, fsync(folder) == 0 else {
      let code = errno
      unlink(path)
      throw CommandError.tool(
        "the folder of --token-file \(shown) can't be opened and synced: \(String(cString: strerror(code)))"
      )
    }
  }

  /// The token in a file. One that others may read is refused: they may know it.
  static func read(_ path: String) throws -> AgentToken {
    let shown = escapedForTerminal(path)
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else {
      throw CommandError.invalid("--token-file \(shown) can't be read: \(String(cString: strerror(errno)))")
    }
    defer { close(file) }
    var about = stat()
    guard fstat(file, &about) == 0, about.st_mode & S_IFMT == S_IFREG else {
      throw CommandError.invalid("--token-file \(shown) is no file")
    }
    guard about.st_mode & 0o077 == 0 else {
      throw CommandError.invalid(
        "--token-file \(shown) may be read by others; if somebody could have, register the hosts anew, else chmod 600 it"
      )
    }
    var bytes = [UInt8](repeating: 0, count: 128)
    let count = Glibc.read(file, &bytes, bytes.count)
    let text = String(
      decoding: bytes.prefix(max(0, count)).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    // What stands there is not quoted: it may be a token.
    guard let token = AgentToken(text) else {
      throw CommandError.invalid("--token-file \(shown) holds no token that `switchyard agent register` made")
    }
    return token
  }
}
