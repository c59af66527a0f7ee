import GRDB
import Ports
import RolloutModel

/// What a look at a journal's file found, damaged or not.
public struct JournalInspection: Sendable {
  /// What is wrong with the file, but for single rollouts; empty where it's whole or was not checked.
  public var damage: [String]
  /// The rollouts that were asked for, the newest first.
  public var rollouts: [RolloutInspection]
}

/// The records of one rollout, sound or not, as they were when the inspection began.
public struct RolloutInspection: Sendable {
  /// The rollout's ID.
  public let rollout: String
  private let store: JournalStore
  private var walk: InspectionWalk

  init(_ row: ListedRollout, of store: JournalStore, _ db: Database) throws {
    rollout = row.id
    self.store = store
    walk = try InspectionWalk(row, db)
  }

  /// What is wrong with the rollout's row in the list of rollouts. All of it is known once the last record has been read.
  public var damage: [String] { walk.damage }

  /// The next records, at most `limit`; empty at the end.
  public mutating func next(_ limit: Int = 1000) async throws(JournalError) -> [InspectedRecord] {
    let begun = walk
    let (records, walk) = try await store.read { db in
      var walk = begun
      return (try walk.records(limit, db), walk)
    }
    self.walk = walk
    return records
  }
}

/// SQLite's own check of the file, and what only we can tell of the tables.
enum FileCheck {
  /// What is wrong; empty where nothing is.
  static func damage(_ db: Database) throws -> [String] {
    try sqlite(db) + JournalSchema.differences(db) + strays(db)
  }

  private static func sqlite(_ db: Database) throws -> [String] {
    do {
      let lines = try Row.fetchAll(db, sql: "PRAGMA integrity_check(20)").map { row in
        let value: DatabaseValue = row[0]
        return if case .string(let text) = value.storage { text } else { "no text" }
      }
      return lines == ["ok"] ? [] : lines.map { "SQLite: \(escapedForTerminal($0))" }
    } catch {
      guard let why = JournalFailures.damage(error) else { throw error }
      return ["SQLite can't check the file: \(why)"]
    }
  }

  private static func strays(_ db: Database) throws -> [String] {
    do {
      let row = try Row.fetchOne(
        db,
        sql: """
          SELECT count(*) AS number FROM records NOT INDEXED WHERE rollout NOT IN (SELECT number FROM rollouts NOT INDEXED)
          """)
      guard let count = try row?.number("number"), count > 0 else { return [] }
      return ["\(count) records are of no rollout in the list"]
    } catch {
      guard JournalFailures.damage(error) != nil else { throw error }
      // The same damage has been said by SQLite's own check.
      return []
    }
  }
}
