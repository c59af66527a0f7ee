import Crypto
import Glibc
import HostProtocol
import RolloutModel

/// The playbook projects that are kept on a host, each under its digest. What is there is believed only after all of it was
/// read and found to be what the digest says.
struct ProjectStore {
  /// A project that is in use: it stays as long as this lives, in the programs that inherit its descriptor, too.
  struct Kept {
    let path: String
    /// Holds a shared lock; not closed when a program is started.
    let folder: Descriptor
  }

  /// Projects that are kept, the one in use not counted.
  private static let others = 7

  private let path: String
  private let root: Descriptor

  init(path: String) throws(HostFailure) {
    self.path = path
    root = try FileTree.makeFolder(path)
    // What playbooks bring along is for root alone.
    guard fchmod(root.number, 0o700) == 0 else { throw systemFailure("making \(path)") }
  }

  /// The project, when it is there and unaltered.
  func project(_ digest: RolloutModel.Digest) throws(HostFailure) -> Kept? {
    guard let folder = try FileTree.openFolder(digest.hex, in: root) else { return nil }
    try lock(folder, LOCK_SH)
    guard try Self.digest(of: folder) == digest else { return nil }
    // Used last: it is the last to be removed.
    guard futimens(folder.number, nil) == 0 else { throw systemFailure("touching \(path)/\(digest)") }
    return Kept(path: "\(path)/\(digest.hex)", folder: folder)
  }

  /// Takes in a project, in place of an altered one. `content` gives at most so many of the next bytes, at least one.
  func take(
    _ manifest: ProjectManifest, as digest: RolloutModel.Digest,
    _ content: (Int) throws(HostFailure) -> [UInt8]
  ) throws(HostFailure) -> Kept {
    guard try sha256(of: Array(manifest.text.utf8)) == digest else {
      throw HostFailure(.digestMismatch, "the project's list of files is not the one that was offered")
    }
    if let flaw = manifest.flaw { throw HostFailure(.archiveRefused, "the project has \(flaw)") }
    try makeRoom(for: manifest)
    let temporary = ".\(digest.hex).\(getpid())"
    try FileTree.remove(temporary, in: root)
    do throws(HostFailure) {
      guard mkdirat(root.number, temporary, 0o755) == 0,
        let tree = try FileTree.openFolder(temporary, in: root)
      else { throw systemFailure("making \(path)/\(temporary)") }
      for entry in manifest.entries { try Self.write(entry, below: tree, content) }
      try replace(digest, with: temporary)
    } catch {
      try FileTree.remove(temporary, in: root)
      throw error
    }
    guard let kept = try project(digest) else {
      throw HostFailure(.system, "\(path)/\(digest) was altered while it was written")
    }
    return kept
  }

  private func replace(_ digest: RolloutModel.Digest, with temporary: String) throws(HostFailure) {
    if let altered = try FileTree.openFolder(digest.hex, in: root) {
      // A run that still uses it would lose its files.
      guard flock(altered.number, LOCK_EX | LOCK_NB) == 0 else {
        throw HostFailure(
          .system, "\(path)/\(digest) was altered, and another run still uses it",
          hint: "wait for the end of that run")
      }
      try FileTree.remove(digest.hex, in: root)
    }
    try FileTree.rename(temporary, to: digest.hex, in: root)
  }

  /// Removes projects that were not used for the longest time, those in use aside, and what broken-off runs have left.
  private func makeRoom(for manifest: ProjectManifest) throws(HostFailure) {
    var found: [(name: String, used: Int)] = []
    for name in try FileTree.names(in: root) {
      var about = stat()
      guard fstatat(root.number, name, &about, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
      found.append((name, name.hasPrefix(".") ? 0 : Int(about.st_mtim.tv_sec)))
    }
    found.sort { $0.used > $1.used }
    for (place, entry) in found.enumerated() where place >= Self.others || entry.used == 0 {
      // An unfinished one of a run that is under way is written to right now.
      if entry.used == 0, let writer = entry.name.split(separator: ".").last.flatMap({ pid_t($0) }),
        kill(writer, 0) == 0
      {
        continue
      }
      if let folder = try FileTree.openFolder(entry.name, in: root),
        flock(folder.number, LOCK_EX | LOCK_NB) != 0
      {
        continue
      }
      try FileTree.remove(entry.name, in: root)
    }
    guard try FileTree.free(at: root) > manifest.bytes else {
      throw systemFailure("keeping a project", ENOSPC)
    }
  }

  private func lock(_ folder: Descriptor, _ operation: Int32) throws(HostFailure) {
    // Held by others only for as long as they remove it.
    guard flock(folder.number, operation) == 0, fcntl(folder.number, F_SETFD, 0) == 0 else {
      throw systemFailure("locking a project")
    }
  }

  // MARK: Files

  private static func write(
    _ entry: ProjectManifest.Entry, below root: Descriptor,
    _ content: (Int) throws(HostFailure) -> [UInt8]
  ) throws(HostFailure) {
    let parts = entry.path.split(separator: "/").map { String($0) }
    guard let name = parts.last else {
      throw HostFailure(.archiveRefused, "the project has a file without a name")
    }
    var folder = root
    for part in parts.dropLast() {
      guard mkdirat(folder.number, part, 0o755) == 0 || errno == EEXIST,
        let next = try FileTree.openFolder(part, in: folder)
      else { throw systemFailure("making a folder of the project") }
      folder = next
    }
    let number = openat(
      folder.number, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
      entry.isProgram ? 0o755 : 0o644)
    guard number >= 0 else { throw systemFailure("writing \(escapedForTerminal(entry.path))") }
    let file = Descriptor(owning: number)
    var left = entry.bytes
    while left > 0 {
      let piece = try content(Int(min(left, 256 * 1024)))
      try writeAll(file.number, piece, what: "writing \(escapedForTerminal(entry.path))")
      left -= Int64(piece.count)
    }
  }

  /// The digest of what is in a folder now; nil where there is something that no project has.
  private static func digest(of root: Descriptor) throws(HostFailure) -> RolloutModel.Digest? {
    var entries: [ProjectManifest.Entry] = []
    guard try collect(root, "", &entries) else { return nil }
    return try sha256(of: Array(ProjectManifest(entries).text.utf8))
  }

  private static func collect(
    _ folder: Descriptor, _ prefix: String, _ entries: inout [ProjectManifest.Entry]
  ) throws(HostFailure) -> Bool {
    for name in try FileTree.names(in: folder) {
      guard entries.count < ProjectManifest.Bound.files, prefix.utf8.count < ProjectManifest.Bound.path else {
        return false
      }
      let number = openat(folder.number, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
      guard number >= 0 else { return false }
      let file = Descriptor(owning: number)
      var about = stat()
      guard fstat(number, &about) == 0 else { throw systemFailure("looking at a project") }
      switch about.st_mode & S_IFMT {
      case S_IFDIR:
        guard try collect(file, prefix + name + "/", &entries) else { return false }
      case S_IFREG:
        let (digest, bytes) = try sha256(of: file)
        entries.append(
          ProjectManifest.Entry(
            path: prefix + name, isProgram: about.st_mode & 0o111 != 0, bytes: bytes, digest: digest))
      default: return false
      }
    }
    return true
  }
}
