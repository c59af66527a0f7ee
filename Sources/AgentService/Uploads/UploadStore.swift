import Crypto
import Glibc
import HTTPTypes
import RolloutModel
import SystemPackage

/// Files that clients have brought, by their SHA-256. No name comes from a client but a digest, and no file has its name before its
/// bytes were found to be what that says. All of this blocks.
struct UploadStore: Sendable {
  let folder: StateFolder
  /// The bytes of one file.
  let limit: Int64
  /// The bytes of all of them together, and their number.
  let total: Int64
  let count: Int
  /// A part that nobody has added to for so many seconds is removed.
  let partLife: Int
  /// A whole file that was asked for within so many seconds is not removed for others.
  let rest: Int

  /// How much of a file is here.
  struct Standing: Hashable, Sendable {
    var have: Int64
    var isComplete: Bool
  }

  private static let partEnding = ".part"

  static func partName(_ digest: RolloutModel.Digest) -> String { digest.hex + partEnding }

  /// How much of a file is here. A whole one counts as used now.
  func look(_ digest: RolloutModel.Digest) throws(AgentError) -> Standing {
    if let size = size(digest.hex) {
      // Whether the time could be set decides over nothing but what is removed first.
      _ = utimensat(AT_FDCWD, folder.path(digest.hex), nil, AT_SYMLINK_NOFOLLOW)
      return Standing(have: size, isComplete: true)
    }
    return Standing(have: size(Self.partName(digest)) ?? 0, isComplete: false)
  }

  /// Takes up a file's arrival from an offset on; nil where all of it is here. Refused while somebody else sends the same.
  func begin(_ digest: RolloutModel.Digest, size: Int64, offset: Int64) throws(AgentError) -> Arrival? {
    guard (0...limit).contains(size) else {
      throw AgentError(
        .contentTooLarge, "too_large", "the file has \(size) bytes, and up to \(limit) are taken",
        hint: "raise upload_limit in the agent's configuration, or bring it over SSH")
    }
    try folder.make()
    let part = try part(digest)
    if try look(digest).isComplete {
      // Somebody else was the first: what was made for this one goes, unless it is theirs.
      if part.isStill(at: folder.path(Self.partName(digest))) { try folder.remove(Self.partName(digest)) }
      return nil
    }
    do {
      let have = try part.size
      guard (0...have).contains(offset), offset <= size else {
        throw AgentError(
          .conflict, "offset", "\(have) bytes of the file are here, and the request begins at \(offset)",
          hint: "go on at \(min(have, size))")
      }
      try makeRoom(for: size, beside: digest)
      try part.descriptor.resize(to: offset)
      try requireDisk(for: size - offset)
    } catch let error as AgentError {
      throw error
    } catch {
      throw failed(part, digest, error)
    }
    return Arrival(store: self, digest: digest, size: size, file: part)
  }

  /// Removes parts that have waited too long.
  func expire() throws(AgentError) {
    for entry in try folder.entries() where entry.name.hasSuffix(Self.partEnding) {
      guard entry.modified < StateFolder.now() - partLife else { continue }
      let path = folder.path(entry.name)
      // One that can't be opened, or that somebody is sending, is looked at again later.
      guard let file = try? OpenFile(path, .readWrite), (try? file.lock()) == true, file.isStill(at: path)
      else { continue }
      try folder.remove(entry.name)
    }
  }

  /// The part, locked by this program.
  private func part(_ digest: RolloutModel.Digest) throws(AgentError) -> OpenFile {
    let path = folder.path(Self.partName(digest))
    do {
      // A part may be renamed or removed between opening and locking: then there is another one.
      for _ in 0..<10 {
        let file = try OpenFile(path, .readWrite, options: [.create])
        guard try file.lock() else { break }
        if file.isStill(at: path) { return file }
      }
    } catch {
      throw StateFolder.failure("\(path) can't be opened", error as? Errno ?? .ioError)
    }
    throw AgentError(
      .conflict, "busy", "somebody else is sending this file at the moment",
      hint: "ask with GET how much is here, and go on once they have ended")
  }

  /// Removes old files until there is room for one more of this size.
  private func makeRoom(for size: Int64, beside digest: RolloutModel.Digest) throws(AgentError) {
    try expire()
    let others = try others(than: digest)
    var bytes = Self.bytes(of: others)
    var files = others.count
    let oldest = others.filter { entry in
      !entry.name.hasSuffix(Self.partEnding) && entry.modified < StateFolder.now() - rest
    }
    for entry in oldest where bytes > total - size || files >= count {
      try folder.remove(entry.name)
      bytes -= entry.bytes
      files -= 1
    }
    guard bytes <= total - size, files < count else { throw noRoom(bytes, files) }
  }

  /// A disk that would be full is told of before anything is sent.
  private func requireDisk(for bytes: Int64) throws(AgentError) {
    var disk = statvfs()
    guard statvfs(folder.path, &disk) == 0 else {
      throw StateFolder.failure("the disk of \(folder.path) can't be asked for room", Errno(rawValue: errno))
    }
    let (free, over) = UInt64(disk.f_bavail).multipliedReportingOverflow(by: UInt64(disk.f_frsize))
    guard over || free > UInt64(clamping: bytes) else {
      throw StateFolder.failure("\(bytes) bytes more in \(folder.path)", .noSpace)
    }
  }

  /// What the others take, parts included.
  private func others(than digest: RolloutModel.Digest) throws(AgentError) -> [StateFolder.Entry] {
    try folder.entries().filter { $0.name != Self.partName(digest) }
  }

  /// Several files that arrive at once may come to more than each of them found room for.
  fileprivate func requireRoom(for bytes: Int64, of digest: RolloutModel.Digest) throws(AgentError) {
    let used = Self.bytes(of: try others(than: digest))
    guard used <= total - bytes else { throw noRoom(used, nil) }
  }

  private static func bytes(of entries: [StateFolder.Entry]) -> Int64 {
    entries.reduce(Int64(0)) { $0.addingReportingOverflow($1.bytes).partialValue }
  }

  private func noRoom(_ bytes: Int64, _ files: Int?) -> AgentError {
    AgentError(
      HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage"), "no_room",
      "the uploads take \(bytes) of \(total) bytes\(files.map { " in \($0) of \(count) files" } ?? ""), and none is old "
        + "enough to be removed",
      hint: "wait until older ones are, or raise upload_total in the agent's configuration")
  }

  private func size(_ name: String) -> Int64? {
    // What is not there has no size.
    try? Stat(FilePath(folder.path(name)), followTargetSymlink: false).size
  }

  /// What went wrong with a part. On a full disk it gives back what it took.
  fileprivate func failed(
    _ part: OpenFile, _ digest: RolloutModel.Digest, _ error: any Error
  ) -> AgentError {
    let reason = error as? Errno ?? .ioError
    let path = folder.path(Self.partName(digest))
    if reason == .noSpace, part.isStill(at: path) {
      do throws(AgentError) { try folder.remove(Self.partName(digest)) } catch { return error }
    }
    return StateFolder.failure("\(path) can't be written", reason)
  }

  /// A file that is being sent. All of this blocks.
  struct Arrival: Sendable {
    fileprivate let store: UploadStore
    fileprivate let digest: RolloutModel.Digest
    let size: Int64
    fileprivate let file: OpenFile

    /// Adds bytes at a place.
    func add(_ bytes: [UInt8], at offset: Int64) throws(AgentError) {
      try store.requireRoom(for: offset + Int64(bytes.count), of: digest)
      do { try file.write(bytes, at: offset) } catch { throw store.failed(file, digest, error) }
    }

    /// What is here now; where that is all of it, the file gets its name, if its bytes have this digest.
    func end() throws(AgentError) -> Standing {
      let name = UploadStore.partName(digest)
      do {
        let have = try file.size
        guard have == size else { return Standing(have: have, isComplete: false) }
        guard try hash() == digest else {
          try store.folder.remove(name)
          throw AgentError(
            .unprocessableContent, "digest_mismatch",
            "the bytes that were sent do not have the digest \(digest.short)…",
            hint: "send the file anew, from its beginning")
        }
        guard fsync(file.descriptor.rawValue) == 0,
          rename(store.folder.path(name), store.folder.path(digest.hex)) == 0
        else { throw Errno(rawValue: errno) }
        try store.folder.sync()
        return Standing(have: have, isComplete: true)
      } catch let error as AgentError {
        throw error
      } catch {
        throw store.failed(file, digest, error)
      }
    }

    private func hash() throws -> RolloutModel.Digest? {
      var hash = SHA256()
      var offset: Int64 = 0
      while true {
        let bytes = try file.read(1 << 20, at: offset)
        guard !bytes.isEmpty else { return RolloutModel.Digest(bytes: Array(hash.finalize())) }
        hash.update(data: bytes)
        offset += Int64(bytes.count)
      }
    }
  }
}
