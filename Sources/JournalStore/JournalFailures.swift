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
    let why = failure.message ?? "SQLite says \(failure.extendedResultCode.rawValue)"
    return JournalError(
      "can't \(what) the journal \(path): \(escapedForTerminal(why)) (\(failure.extendedResultCode.rawValue))",
      hint: hint(for: failure.resultCode))
  }

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
    case .SQLITE_CORRUPT:
      "restore the file from a backup; `switchyard hosts rollback` needs no journal"
    case .SQLITE_CANTOPEN, .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_AUTH:
      "make the folder and the file readable and writable for this user, or name another folder with --state"
    case .SQLITE_BUSY, .SQLITE_LOCKED: "another program keeps the file locked; end it, then try again"
    default: "report this as a bug"
    }
  }
}
