import Crypto
import FoundationEssentials
import Glibc
import HostProtocol
import RolloutModel

/// The credentials of Switchyard's own agent: four files in one folder, replaced one after the other, each of them whole.
///
/// The key goes before its certificate; who reads one of them between the two finds that they don't fit, and reads both again.
/// What was there before is kept in `.before-DIGEST`, named after what replaced it, until that was seen to work.
package struct CredentialStore {
  private typealias Digest = RolloutModel.Digest

  private let folder: String
  /// The group of those who may read the key.
  private let readers: String

  /// A file that is there, and how others may read it.
  private struct Entry {
    var name: String
    var mode: mode_t
    var limit: Int
  }

  private static let key = Entry(name: "agent.key", mode: 0o640, limit: CredentialFiles.smallLimit)
  /// In the order in which they are placed.
  private static let entries = [
    key, Entry(name: "agent.pem", mode: 0o644, limit: CredentialFiles.smallLimit),
    Entry(name: "ca.pem", mode: 0o644, limit: CredentialFiles.smallLimit),
    Entry(name: "crl.pem", mode: 0o644, limit: CredentialFiles.listLimit),
  ]
  private static let keptPrefix = ".before-"
  /// Is there while files are being replaced: found later, what is there is a mixture of two sets.
  private static let writingMark = ".writing"
  private static let keptNew = ".before.new"
  private static let lockWithin = Span.seconds(20)

  /// The store in a folder, whose files the group may read.
  package init(folder: String, readers: String = "switchyard-agent") {
    self.folder = folder
    self.readers = readers
  }

  /// Does what is asked and says how all is then.
  package func carryOut(_ order: CredentialOrder) throws(HostFailure) -> CredentialState {
    if case .place(let files) = order { try Self.check(files) }
    let owner = try groupID()
    let home = try makeHome(owner)
    let lock = try AgentLock(path: "\(folder)/.lock", within: Self.lockWithin)
    defer { withExtendedLifetime(lock) {} }
    let before = try present(in: home)
    switch order {
    case .place(let files): try place(Self.contents(of: files), over: before, in: home, owner)
    case .undo(let digest): try undo(digest, in: home, owner)
    case .settle(let digest):
      if Self.digest(before) == digest { try removeKept(in: home, but: nil) }
    }
    let after = try present(in: home)
    return CredentialState(
      digest: Self.digest(after), changed: before != after, keepsBefore: try !kept(in: home).isEmpty)
  }

  // MARK: The orders

  private func place(
    _ wanted: [[UInt8]?], over present: [[UInt8]?], in home: Descriptor, _ owner: gid_t
  ) throws(HostFailure) {
    guard wanted != present, let digest = Self.digest(wanted) else { return }
    let name = Self.keptPrefix + digest.hex
    let kept = try kept(in: home)
    if !kept.contains(name) {
      let replaced = Self.digest(present).map { Self.keptPrefix + $0.hex }
      let isMixed = faccessat(home.number, Self.writingMark, F_OK, AT_SYMLINK_NOFOLLOW) == 0
      if let former = kept.first(where: { isMixed || $0 == replaced }) {
        // What is there now was never seen to work: what was kept from before it still is what to go back to.
        try FileTree.rename(former, to: name, in: home)
      } else {
        try keep(present, as: name, in: home)
      }
    }
    try removeKept(in: home, but: name)
    try write(wanted, in: home, owner)
  }

  private func undo(_ digest: Digest, in home: Descriptor, _ owner: gid_t) throws(HostFailure) {
    // It is there only as long as no other files were placed since. A revert that was cut off is gone on with.
    guard let old = try FileTree.openFolder(Self.keptPrefix + digest.hex, in: home) else { return }
    try write(try present(in: old), in: home, owner)
    try removeKept(in: home, but: nil)
  }

  // MARK: Files

  private func write(_ contents: [[UInt8]?], in home: Descriptor, _ owner: gid_t) throws(HostFailure) {
    try FileTree.write([], to: Self.writingMark, in: home, mode: 0o600)
    for (entry, content) in zip(Self.entries, contents) {
      if let content {
        guard try read(entry, in: home) != content else { continue }
        try FileTree.write(content, to: entry.name, in: home, mode: entry.mode, readers: owner)
      } else {
        try FileTree.remove(entry.name, in: home)
      }
    }
    try FileTree.sync(home, what: "writing \(folder)")
    try FileTree.remove(Self.writingMark, in: home)
  }

  /// Copies files into a folder of their own, which appears whole.
  private func keep(_ contents: [[UInt8]?], as name: String, in home: Descriptor) throws(HostFailure) {
    let temporary = Self.keptNew
    try FileTree.remove(temporary, in: home)
    guard mkdirat(home.number, temporary, 0o700) == 0,
      let copy = try FileTree.openFolder(temporary, in: home)
    else { throw systemFailure("making \(folder)/\(temporary)") }
    for (entry, content) in zip(Self.entries, contents) {
      if let content { try FileTree.write(content, to: entry.name, in: copy, mode: 0o600) }
    }
    try FileTree.sync(copy, what: "writing \(folder)/\(temporary)")
    try FileTree.rename(temporary, to: name, in: home)
  }

  private func kept(in home: Descriptor) throws(HostFailure) -> [String] {
    try FileTree.names(in: home).filter { $0.hasPrefix(Self.keptPrefix) }
  }

  private func removeKept(in home: Descriptor, but kept: String?) throws(HostFailure) {
    for name in try self.kept(in: home) where name != kept { try FileTree.remove(name, in: home) }
    // A copy that was cut off has a key in it too.
    try FileTree.remove(Self.keptNew, in: home)
  }

  private func present(in home: Descriptor) throws(HostFailure) -> [[UInt8]?] {
    var contents: [[UInt8]?] = []
    for entry in Self.entries { contents.append(try read(entry, in: home)) }
    return contents
  }

  private func read(_ entry: Entry, in home: Descriptor) throws(HostFailure) -> [UInt8]? {
    let path = "\(folder)/\(entry.name)"
    let number = openat(home.number, entry.name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard number >= 0 else {
      if errno == ENOENT { return nil }
      throw systemFailure("opening \(path)")
    }
    let file = Descriptor(owning: number)
    var bytes: [UInt8] = []
    while let piece = try readOnce(file.number, limit: 64 * 1024, what: "reading \(path)"), !piece.isEmpty {
      bytes += piece
      guard bytes.count <= entry.limit else {
        throw HostFailure(
          .system, "\(path) is longer than the \(entry.limit) bytes it can have",
          hint: "see what it is; nothing was changed")
      }
    }
    return bytes
  }

  private func makeHome(_ owner: gid_t) throws(HostFailure) -> Descriptor {
    // Only the agent's group need look into it.
    var made = access(folder, F_OK) != 0
    let home = try FileTree.makeFolder(folder)
    var about = stat()
    guard fstat(home.number, &about) == 0 else { throw systemFailure("looking at \(folder)") }
    made = made || about.st_gid != owner
    if made, fchown(home.number, 0, owner) != 0 || fchmod(home.number, 0o750) != 0 {
      throw systemFailure("making \(folder)")
    }
    return home
  }

  private func groupID() throws(HostFailure) -> gid_t {
    var entry = group()
    var buffer = [CChar](repeating: 0, count: 16 * 1024)
    var found: UnsafeMutablePointer<group>?
    let code = getgrnam_r(readers, &entry, &buffer, buffer.count, &found)
    guard code == 0 else { throw systemFailure("asking for the group \(readers)", code) }
    guard found != nil else {
      throw HostFailure(
        .notFound, "there is no group \(readers) on this host, which is to read the agent's key",
        hint: "prepare the host for the agent first")
    }
    return entry.gr_gid
  }

  // MARK: Contents

  private static func contents(of files: CredentialFiles) -> [[UInt8]?] {
    [files.key.text, files.certificate, files.authority, files.revoked].map { Array($0.utf8) }
  }

  private static func check(_ files: CredentialFiles) throws(HostFailure) {
    try PEMText.check(files.certificate, PEMText.certificate)
    try PEMText.check(files.key.text, PEMText.key)
    try PEMText.check(files.authority, PEMText.authority)
    try PEMText.check(files.revoked, PEMText.list)
  }

  /// Of all files, with their lengths; nil where one is missing.
  private static func digest(_ contents: [[UInt8]?]) -> Digest? {
    var hash = SHA256()
    for (entry, content) in zip(entries, contents) {
      guard let content else { return nil }
      hash.update(data: Data("\(entry.name) \(content.count)\n".utf8))
      hash.update(data: Data(content))
    }
    return Digest(bytes: Array(hash.finalize()))
  }
}
