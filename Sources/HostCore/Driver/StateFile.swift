import Crypto
import FoundationEssentials
import Glibc
import HostMachine
import RolloutModel

/// An agent's record on disk: `state`, and beside it in `state.before` what it was before the last writing.
///
/// A line with format, length and SHA-256 of the JSON that follows; padded, and the two files take turns, so that once
/// both exist a change needs no disk space: a revert must work on a full disk too.
package struct StateFile: Sendable {
  private let folder: String
  private static let format = 1
  private static let block = 16 * 1024
  private static let limit: Int64 = 16 * 1024 * 1024

  /// The file of the agent whose folder this is.
  package init(folder: String) { self.folder = folder }

  /// What is on disk.
  package enum Content: Sendable {
    case absent
    case whole(AgentRecord)
    /// Why it can't be used, and what it was before the last writing, where that can be told.
    case damaged(HostFailure, before: AgentRecord?)
  }

  /// Reads it; needs no lock, as it's replaced in one step.
  package func read() -> Content {
    do throws(HostFailure) {
      guard let record = try readSettled() else { return .absent }
      return .whole(record)
    } catch {
      // A copy that can't be read either is no help, and the first failure is the one to tell.
      return .damaged(error, before: try? read("state.before"))
    }
  }

  /// A file that was opened just before it was replaced may be written over while it's read: the second look is at the new
  /// one.
  private func readSettled() throws(HostFailure) -> AgentRecord? {
    do throws(HostFailure) { return try read("state") } catch { return try read("state") }
  }

  /// Makes a record durable.
  package func write(_ record: AgentRecord) throws(HostFailure) {
    let home = try FileTree.makeFolder(folder)
    let number = openat(
      home.number, "state.before", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard number >= 0 else { throw systemFailure("opening \(folder)/state.before") }
    let file = Descriptor(owning: number)
    var present = stat()
    guard fstat(number, &present) == 0 else { throw systemFailure("looking at \(folder)/state.before") }
    let bytes = try Self.bytes(of: record, room: Int(clamping: min(present.st_size, off_t(Self.limit))))
    try writeAll(file.number, bytes, what: "writing \(folder)/state.before")
    guard ftruncate(number, off_t(bytes.count)) == 0 else {
      throw systemFailure("writing \(folder)/state.before")
    }
    try FileTree.sync(file, what: "writing \(folder)/state.before")
    try FileTree.remove("state.old", in: home)
    guard linkat(home.number, "state", home.number, "state.old", 0) == 0 || errno == ENOENT else {
      throw systemFailure("keeping \(folder)/state")
    }
    guard renameat(home.number, "state.before", home.number, "state") == 0 else {
      throw systemFailure("replacing \(folder)/state")
    }
    // The first time there is none. Where this does not come about, the next writing makes a new file.
    _ = renameat(home.number, "state.old", home.number, "state.before")
    try FileTree.sync(home, what: "writing \(folder)")
  }

  /// Padded to the room that is there; where that is too small, to more than is needed, so that the next ones fit.
  private static func bytes(of record: AgentRecord, room: Int) throws(HostFailure) -> [UInt8] {
    let json: [UInt8]
    do { json = try canonicalJSON(record) } catch {
      throw HostFailure(.system, "an agent's state can't be encoded: \(error)")
    }
    let head = "switchyard-state \(format) \(json.count) \(digest(json))\n"
    var bytes = Array(head.utf8) + json
    let padded = bytes.count <= room ? room : (bytes.count + block / 2 + block - 1) / block * block
    bytes += [UInt8](repeating: UInt8(ascii: "\n"), count: padded - bytes.count)
    return bytes
  }

  private func read(_ name: String) throws(HostFailure) -> AgentRecord? {
    let path = "\(folder)/\(name)"
    let number = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard number >= 0 else {
      if errno == ENOENT { return nil }
      throw systemFailure("opening \(path)")
    }
    let file = Descriptor(owning: number)
    var bytes: [UInt8] = []
    while let piece = try readOnce(file.number, limit: 64 * 1024, what: "reading \(path)"), !piece.isEmpty {
      bytes += piece
      guard bytes.count <= Self.limit else { throw damaged(path, "it's longer than \(Self.limit) bytes") }
    }
    let head = bytes.prefix(200).prefix(while: { $0 != UInt8(ascii: "\n") })
    let words = String(decoding: head, as: UTF8.self).split(separator: " ")
    guard words.count == 4, words[0] == "switchyard-state" else {
      throw damaged(path, "its first line is no state's")
    }
    guard words[1] == String(Self.format) else {
      throw HostFailure(
        .unsupported, "\(path) has format \(escapedForTerminal(words[1])), this program knows \(Self.format)",
        hint: "use the host program that wrote it, or a later one")
    }
    guard let length = Int(words[2]), length >= 0, length <= bytes.count - head.count - 1 else {
      throw damaged(path, "it's shorter than it says")
    }
    let json = bytes.dropFirst(head.count + 1).prefix(length)
    guard Self.digest(json) == words[3] else { throw damaged(path, "its content does not match its digest") }
    do { return try JSONDecoder().decode(AgentRecord.self, from: Data(json)) } catch {
      throw damaged(path, escapedForTerminal("\(error)"))
    }
  }

  private static func digest(_ bytes: some Collection<UInt8>) -> String {
    Digest(bytes: Array(SHA256.hash(data: Data(bytes))))?.hex ?? ""
  }

  private func damaged(_ path: String, _ why: String) -> HostFailure {
    HostFailure(
      .system, "\(path) is damaged: \(why)",
      hint:
        "nothing was changed; `switchyard-host rollback` works from \(folder)/state.before where that is whole, "
        + "and where it is right it can be copied over the damaged file")
  }
}
