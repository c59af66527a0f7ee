import GRDB
import RolloutModel

/// A rollout's row in the list of rollouts, which may be damaged.
struct ListedRollout: Sendable {
  let number: Int64
  let id: String
  /// The number and the hash of its last record; nil where the row has none.
  let last: Int64?
  let head: [UInt8]?
  /// The plan's words as the list repeats them.
  private let copies: [(name: String, text: String?)]

  /// Rows, the newest rollout first, and what is wrong with those that can't be used.
  static func all(_ db: Database) throws -> (rows: [ListedRollout], damage: [String]) {
    var rows: [ListedRollout] = []
    var damage: [String] = []
    do {
      // Not by the index of the IDs, which may be what is damaged.
      let cursor = try Row.fetchCursor(
        db,
        sql: """
          SELECT number, id, agent, version, policy, created, last, head FROM rollouts NOT INDEXED ORDER BY number DESC
          """)
      while let row = try cursor.next() {
        guard let rollout = ListedRollout(row) else {
          damage.append("a rollout's row in the list has no proper number and ID")
          continue
        }
        rows.append(rollout)
      }
    } catch {
      guard let why = JournalFailures.damage(error) else { throw error }
      damage.append("the list of rollouts can't be read to its end: \(why)")
    }
    return (rows, damage)
  }

  private init?(_ row: Row) {
    func value(_ column: String) -> DatabaseValue.Storage { (row[column] as DatabaseValue).storage }
    func text(_ column: String) -> String? {
      if case .string(let text) = value(column) { text } else { nil }
    }
    func number(_ column: String) -> Int64? {
      if case .int64(let number) = value(column) { number } else { nil }
    }
    guard let found = number("number"), let id = text("id") else { return nil }
    self.number = found
    self.id = id
    last = number("last")
    if case .blob(let head) = value("head") { self.head = [UInt8](head) } else { head = nil }
    copies =
      ["id", "agent", "version", "policy"].map { ($0, text($0)) }
      + [("time", number("created").map { "\($0)" })]
  }

  /// Where the row says otherwise than the rollout's first record.
  func differences(to plan: Plan, wall: Int64) -> [String] {
    let written = [
      plan.id, plan.agent.name.text, plan.release.version.text, plan.policy.name, "\(wall)",
    ]
    return zip(copies, written).compactMap { copy, written in
      guard copy.text != written else { return nil }
      let found = copy.text.map { "“\(escapedForTerminal($0, limit: 80))”" } ?? "nothing"
      return
        "the list has \(found) as its \(copy.name), and its plan “\(escapedForTerminal(written, limit: 80))”"
    }
  }
}
