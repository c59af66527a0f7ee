import Ports
import RolloutModel

/// Why a record of the journal can't be relied on.
public enum RecordDamage: Error, Hashable, Sendable {
  /// It is missing, is not what was written, or can't be read; the text says which.
  case damaged(String)
  /// It is of a newer version than this program reads.
  case newer(version: Int)

  static let missing = RecordDamage.damaged("it is missing")

  /// What is wrong with it, as a sentence that goes on from the record's number.
  public var why: String {
    switch self {
    case .damaged(let why): why
    case .newer(let found):
      "it has version \(found), and this program reads versions up to \(RecordChain.version)"
    }
  }

  /// What to do.
  public var hint: String {
    switch self {
    case .damaged:
      "restore journal.sqlite from a backup; the hosts are asked how they stand before anything is changed, and `switchyard hosts rollback` needs no journal"
    case .newer: "use the newer program that wrote it"
    }
  }

  /// The same for those who can't go on without the record.
  func error(of rollout: String, _ sequence: Int64) -> JournalError {
    let record = "record \(sequence) of rollout \(escapedForTerminal(rollout, limit: 128)) in the journal"
    return switch self {
    case .damaged: JournalError("\(record) is damaged: \(why)", hint: hint)
    case .newer: JournalError("\(record) can't be read: \(why)", hint: hint)
    }
  }
}
