import GRDB
import Ports
import RolloutModel

/// What SQLite says, as errors that tell a person what to do.
enum JournalFailures {
  static func error(_ error: any Error, doing what: String, path: String) -> JournalError {
    if let known = error as? JournalError { return known }
    guard let failure = error as? DatabaseError else {
      return JournalError(
        "can't \(what) the journal \(path): \(escapedForTerminal("\(error)"))", hint: "report this as a bug")
    }
    return JournalError(
      "can't \(what) the journal \(path): \(words(of: failure))", hint: hint(for: failure.resultCode))
  }

  /// What SQLite says, safe for a terminal.
  static func words(of failure: DatabaseError) -> String {
    let why = failure.message ?? "SQLite gives no reason"
    return "\(escapedForTerminal(why)) (\(failure.extendedResultCode.rawValue))"
  }

  /// What SQLite says of damage that takes away a part of the file; nil for any other error, which says nothing of the file.
  static func damage(_ error: any Error) -> String? {
    guard let failure = error as? DatabaseError else { return nil }
    switch failure.resultCode {
    // Our statements are right, so that SQLITE_ERROR means tables or columns that are not there.
    case .SQLITE_CORRUPT, .SQLITE_ERROR, .SQLITE_FORMAT, .SQLITE_IOERR, .SQLITE_MISMATCH, .SQLITE_NOTADB,
      .SQLITE_TOOBIG:
      return words(of: failure)
    default: return nil
    }
  }

  /// What to do about a damaged file.
  static let restore = "restore the file from a backup; `switchyard hosts rollback` needs no journal"

  static func busy(_ path: String) -> JournalError {
    JournalError(
      "can't write the journal \(path): another process has been writing to it for \(JournalStore.patience / 1000) s",
      hint: "see who holds \(path) open, end it, then resume the rollout")
  }

  private static func hint(for code: ResultCode) -> String {
    switch code {
    case .SQLITE_FULL: "free space on that file system, then resume the rollout"
    case .SQLITE_IOERR:
      "look for errors of the disk in the kernel's log; the journal is intact up to the last commit, resume once the disk works"
    case .SQLITE_NOTADB: "move the file away, or name another folder with --state"
    case .SQLITE_CORRUPT, .SQLITE_ERROR, .SQLITE_FORMAT, .SQLITE_MISMATCH, .SQLITE_TOOBIG: restore
    case .SQLITE_CANTOPEN, .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH:
      "make the folder and the file readable and writable for this user, or name another folder with --state"
    case .SQLITE_BUSY, .SQLITE_LOCKED: "another program keeps the file locked; end it, then try again"
    default: "report this as a bug"
    }
  }
}
