import FoundationEssentials
import GRDB
import Ports
import RolloutModel

/// A row's values without a trap: a damaged file may hold anything anywhere.
extension Row {
  func number(_ column: String) throws -> Int64 {
    let value: DatabaseValue = self[column]
    guard case .int64(let number) = value.storage else { throw Self.isDamaged(column) }
    return number
  }

  func text(_ column: String) throws -> String {
    let value: DatabaseValue = self[column]
    guard case .string(let text) = value.storage else { throw Self.isDamaged(column) }
    return text
  }

  func bytes(_ column: String) throws -> [UInt8] {
    let value: DatabaseValue = self[column]
    guard case .blob(let bytes) = value.storage else { throw Self.isDamaged(column) }
    return [UInt8](bytes)
  }

  private static func isDamaged(_ column: String) -> JournalError {
    JournalError(
      "the journal's file is damaged: there is a row without a proper \(column)",
      hint: JournalFailures.restore)
  }
}
