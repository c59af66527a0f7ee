import GRDB
import RolloutModel

/// Walks over the records of one rollout in a file that may be damaged, and goes on behind what is.
struct InspectionWalk: Sendable {
  private let row: ListedRollout
  private var places: RecordPlaces
  private var check: ChainCheck
  private var isOver = false
  /// What is wrong with the rollout's row in the list; all of it is known once the walk is over.
  private(set) var damage: [String] = []

  init(_ row: ListedRollout, _ db: Database) throws {
    self.row = row
    places = try RecordPlaces(of: row.number, last: row.last, db)
    check = ChainCheck(after: 0, hash: RecordChain.root(of: row.id))
  }

  /// The next records, at most `limit`; empty at the end.
  mutating func records(_ limit: Int, _ db: Database) throws -> [InspectedRecord] {
    var found: [InspectedRecord] = []
    while found.count < limit, !isOver {
      if let number = places.next(after: check.place) {
        found.append(try record(number, db))
      } else {
        if let last = row.last, last > check.place { found.append(lose(through: last)) }
        checkEnd()
        isOver = true
      }
    }
    return found
  }

  private mutating func record(_ number: Int64, _ db: Database) throws -> InspectedRecord {
    guard number == check.next else {
      let bound = row.last ?? .max
      guard bound < check.next else { return lose(through: min(number - 1, bound)) }
      check.lose(through: number)
      return InspectedRecord(
        lost: number...number, .damaged("its number lies far behind that of the last record, \(bound)"))
    }
    let check = check
    switch try places.record(number, db, isSound: { check.fits($0) }) {
    case .success(let stored):
      let record = InspectedRecord(stored, sequence: number, self.check.take(stored))
      if number == 1, case .success(let first) = record.outcome { compare(with: first) }
      return record
    case .failure(let damage):
      self.check.lose(through: number)
      return InspectedRecord(lost: number...number, damage)
    }
  }

  private mutating func lose(through last: Int64) -> InspectedRecord {
    let lost = InspectedRecord(lost: check.next...last, places.absence)
    check.lose(through: last)
    return lost
  }

  private mutating func compare(with first: JournalRecord) {
    guard case .plan(let plan) = first.entry else { return damage.append("its first record is no plan") }
    damage += row.differences(to: plan, wall: first.wall)
  }

  private mutating func checkEnd() {
    if let last = row.last {
      if check.place > last {
        damage.append("the list names \(last) as its last record, and there are records up to \(check.place)")
      }
      if check.place == 0 { damage.append("it has no records") }
    } else {
      damage.append("the list does not name its last record")
    }
    guard let head = row.head else { return damage.append("the list has no hash of its last record") }
    // Where nothing is left of the last record, that has been said already.
    guard !check.candidates.isEmpty, !check.candidates.contains(head) else { return }
    damage.append(
      "the list has another hash for its last record: record \(check.place) is not the last one that was written"
    )
  }
}
