import FoundationEssentials
import Glibc
import Ports
import RolloutModel

/// Where a controller keeps its journal and its locks.
enum StateFolder {
  static func journal(in directory: String) -> String { directory + "/journal.sqlite" }

  /// Held by whoever writes to the journal's file, for the length of one commit.
  static func writersLock(in directory: String) -> String { directory + "/journal.lock" }

  /// What controllers keep beside the journal.
  static func rollouts(in directory: String) -> String { directory + "/rollouts" }

  static func rolloutLock(of rollout: String, in directory: String) -> String {
    "\(rollouts(in: directory))/\(rollout).lock"
  }

  /// Makes a folder, for its owner alone, and the folders above it, where they are missing.
  static func make(_ path: String) throws(JournalError) {
    var made = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      made += made.isEmpty || made.hasSuffix("/") ? String(part) : "/\(part)"
      guard mkdir(made, 0o700) != 0 else { continue }
      let code = errno
      guard code != EEXIST, !isFolder(made) else { continue }
      throw unusable(path, "can't make the folder \(made)", code)
    }
    guard isFolder(path) else { throw unusable(path, "\(path) is there and is no folder", nil) }
  }

  /// Makes an empty file for its owner alone where there is none. One that is there is not opened: closing it would drop the
  /// locks that another connection of this process has on it.
  static func makeFile(_ path: String) throws(JournalError) {
    let file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
    guard file < 0 else {
      close(file)
      return
    }
    let code = errno
    guard code != EEXIST else { return }
    throw unusable(path, "can't make the file \(path)", code)
  }

  /// Makes the names of new files in a folder survive a loss of power.
  static func sync(_ path: String) throws(JournalError) {
    let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw unusable(path, "can't open the folder \(path)", errno) }
    defer { close(folder) }
    guard fsync(folder) == 0 else { throw unusable(path, "can't sync the folder \(path)", errno) }
  }

  /// Whether a rollout's ID may stand in a path.
  static func isName(_ rollout: String) -> Bool {
    guard let first = rollout.utf8.first, first != UInt8(ascii: "."), first != UInt8(ascii: "-"),
      rollout.utf8.count <= 128
    else { return false }
    return rollout.utf8.allSatisfy(isPlain)
  }

  /// Letters, digits, dots and dashes, which mean themselves wherever a path or a name is written.
  static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  /// Refuses what is no rollout's ID.
  static func check(_ rollout: String) throws(JournalError) {
    guard isName(rollout) else {
      throw JournalError(
        "“\(escapedForTerminal(rollout, limit: 80))” is no rollout's ID",
        hint:
          "an ID is made of letters, digits, dots and dashes; `switchyard rollout list` shows those there are"
      )
    }
  }

  static func unusable(_ path: String, _ what: String, _ code: Int32?) -> JournalError {
    let why = code.map { ": \(String(cString: strerror($0)))" } ?? ""
    return JournalError(
      escapedForTerminal(what) + why,
      hint: "make it writable for this user, free space there, or name another folder with --state")
  }

  private static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }
}
