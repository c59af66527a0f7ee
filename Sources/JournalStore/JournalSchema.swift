import GRDB
import Ports

/// The tables of the journal's file.
enum JournalSchema {
  /// Marks the file as ours: "SwYd".
  static let application = 0x5377_5964
  /// The version of the tables that this program knows.
  static let version = 1

  /// Makes the tables in an empty file; refuses a file of another program or of a newer version.
  static func prepare(_ db: Database, path: String) throws {
    guard try !isReady(db, path: path) else { return }
    try db.inTransaction(.immediate) {
      for statement in statements { try db.execute(sql: statement) }
      try db.execute(sql: "PRAGMA application_id = \(application)")
      try db.execute(sql: "PRAGMA user_version = \(version)")
      return .commit
    }
  }

  /// Whether the tables are there; false for an empty file. Throws for a file that is not ours, or newer.
  static func isReady(_ db: Database, path: String) throws -> Bool {
    let application = try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0
    let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
    if application == 0, version == 0,
      try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") == 0
    {
      return false
    }
    guard application == Self.application else {
      throw JournalError(
        "\(path) is a database of another program",
        hint: "move it away, or name another folder with --state")
    }
    guard version <= Self.version else {
      throw JournalError(
        "\(path) has format \(version), and this program knows formats up to \(Self.version)",
        hint: "use the newer program that wrote it, or name another folder with --state")
    }
    guard version >= 1 else {
      throw JournalError(
        "\(path) has format \(version), which no program has ever written: it is damaged",
        hint: JournalFailures.restore)
    }
    return true
  }

  /// What the file says of its tables otherwise than they were made: a name that is damaged there makes statements fail, or
  /// takes a guard away.
  static func differences(_ db: Database) throws -> [String] {
    let found = try Row.fetchAll(db, sql: "SELECT sql FROM sqlite_master").map { row in
      let value: DatabaseValue = row[0]
      return if case .string(let text) = value.storage { text } else { "" }
    }
    return statements.filter { !found.contains($0) }.map { statement in
      let name = statement.prefix(while: { $0 != "(" && $0 != "\n" }).split(separator: " ").prefix(3)
      return "the file does not say “\(name.joined(separator: " "))…” as it was written"
    }
  }

  /// `head` is the last record's hash, so that a missing tail is seen. `state` is a copy for lists; the records say how a rollout
  /// really stands.
  private static let statements = [
    """
    CREATE TABLE rollouts (
      number INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      agent TEXT NOT NULL,
      version TEXT NOT NULL,
      policy TEXT NOT NULL,
      created INTEGER NOT NULL,
      last INTEGER NOT NULL,
      head BLOB NOT NULL,
      state TEXT
    ) STRICT
    """,
    """
    CREATE TABLE records (
      rollout INTEGER NOT NULL REFERENCES rollouts (number),
      sequence INTEGER NOT NULL,
      payload BLOB NOT NULL,
      hash BLOB NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX records_in_order ON records (rollout, sequence)",
    """
    CREATE TRIGGER records_stay BEFORE DELETE ON records
    BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END
    """,
    """
    CREATE TRIGGER records_keep BEFORE UPDATE ON records
    BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END
    """,
  ]
}
