import FoundationEssentials
import GRDB
import Ports
import RolloutModel

/// One rollout's log inside a transaction.
struct Log {
  let number: Int64
  private let rollout: String
  /// The number and the hash of the last record.
  private var last: Int64
  private var head: [UInt8]

  /// A new log without a record. Only visible outside once the transaction is committed.
  static func make(for plan: Plan, wall: Int64, _ db: Database) throws -> Log {
    let root = RecordChain.root(of: plan.id)
    try db.execute(
      sql: """
        INSERT INTO rollouts (id, agent, version, policy, created, last, head) VALUES (?, ?, ?, ?, ?, 0, ?)
        """,
      arguments: [
        plan.id, plan.agent.name.text, plan.release.version.text, plan.policy.name, wall, Data(root),
      ])
    return Log(number: db.lastInsertedRowID, rollout: plan.id, last: 0, head: root)
  }

  /// Nil where there is no such rollout.
  static func find(_ rollout: String, _ db: Database) throws -> Log? {
    let row = try Row.fetchOne(
      db, sql: "SELECT number, last, head FROM rollouts WHERE id = ?", arguments: [rollout])
    return try row.map { row in
      Log(
        number: try row.number("number"), rollout: rollout, last: try row.number("last"),
        head: try row.bytes("head"))
    }
  }

  static func get(_ rollout: String, _ db: Database) throws -> Log {
    guard let log = try find(rollout, db) else {
      throw JournalError(
        "there is no rollout “\(escapedForTerminal(rollout, limit: 80))” in the journal",
        hint: "`switchyard rollout list` shows those there are; --state names the journal's folder")
    }
    return log
  }

  static func summaries(
    where condition: String, _ arguments: StatementArguments, _ db: Database
  ) throws -> [RolloutSummary] {
    try Row.fetchAll(
      db,
      sql: """
        SELECT id, agent, version, policy, created, last, state FROM rollouts \(condition) ORDER BY number DESC
        """,
      arguments: arguments
    ).map { row in
      // A state that was never noted, or that a newer program noted, is not known.
      let state = try? row.text("state")
      return RolloutSummary(
        id: try row.text("id"), agent: try row.text("agent"), version: try row.text("version"),
        policy: try row.text("policy"), createdAt: try row.number("created"),
        lastSequence: try row.number("last"),
        state: state.flatMap(RolloutState.init))
    }
  }

  /// Adds entries behind the last record.
  mutating func append(_ entries: [JournalEntry], wall: Int64, _ db: Database) throws {
    // A record must not be chained to a damaged one: the damage would be told too late.
    guard try hash(of: last, db) == head else { throw isDamaged(last) }
    for entry in entries {
      let (next, isTooFar) = last.addingReportingOverflow(1)
      guard !isTooFar else { throw isDamaged(last) }
      let payload = try RecordChain.encode(JournalRecord(sequence: next, wall: wall, entry: entry))
      head = RecordChain.hash(payload, after: head)
      last = next
      try db.execute(
        sql: "INSERT INTO records (rollout, sequence, payload, hash) VALUES (?, ?, ?, ?)",
        arguments: [number, last, Data(payload), Data(head)])
    }
    try db.execute(
      sql: "UPDATE rollouts SET last = ?, head = ? WHERE number = ?", arguments: [last, Data(head), number])
  }

  /// At most `limit` records behind number `sequence`.
  func records(after sequence: Int64, limit: Int, _ db: Database) throws -> [JournalRecord] {
    // A rollout is never without its plan.
    guard last > 0 else {
      throw RecordDamage.damaged("the list of rollouts names \(last) as the last one").error(of: rollout, 1)
    }
    guard limit > 0, sequence < last else { return [] }
    let start = max(sequence, 0)
    var check = ChainCheck(after: start, hash: try hash(of: start, db))
    var records: [JournalRecord] = []
    let rows = try Row.fetchCursor(
      db,
      sql:
        "SELECT sequence, payload, hash FROM records WHERE rollout = ? AND sequence > ? ORDER BY sequence LIMIT ?",
      arguments: [number, start, limit])
    while let row = try rows.next() {
      guard try row.number("sequence") == check.next else {
        throw RecordDamage.missing.error(of: rollout, check.next)
      }
      let stored = StoredRecord(payload: try row.bytes("payload"), hash: try row.bytes("hash"))
      switch check.take(stored).outcome {
      case .success(let found): records.append(found.record)
      case .failure(let damage): throw damage.error(of: rollout, check.place)
      }
    }
    try checkEnd(
      at: check.place, check.candidates.first, isWhole: records.count < limit || check.place >= last)
    return records
  }

  /// The last record must be the one that the rollout's row names.
  private func checkEnd(at place: Int64, _ hash: [UInt8]?, isWhole: Bool) throws {
    guard isWhole else { return }
    guard place >= last else { throw RecordDamage.missing.error(of: rollout, place + 1) }
    guard place == last, hash == head else { throw isDamaged(last) }
  }

  private func isDamaged(_ sequence: Int64) -> JournalError {
    RecordDamage.damaged("it is not the last record that was written").error(of: rollout, sequence)
  }

  /// The hash behind which record `sequence` + 1 is chained; nil where that record is missing.
  private func hash(of sequence: Int64, _ db: Database) throws -> [UInt8]? {
    guard sequence > 0 else { return RecordChain.root(of: rollout) }
    let row = try Row.fetchOne(
      db, sql: "SELECT hash FROM records WHERE rollout = ? AND sequence = ?", arguments: [number, sequence])
    return try row.map { try $0.bytes("hash") }
  }
}
