import GRDB

/// Where the records of one rollout lie in a file that may be damaged: as the index says, and where that leaves something to
/// be desired, as the table itself shows. What the one has lost the other may still have.
struct RecordPlaces: Sendable {
  /// Row numbers of records, by the records' own numbers.
  private struct Map {
    var rows: [Int64: Int64] = [:]
    /// What SQLite said where it could not go on.
    var obstacle: String?
  }

  private let rollout: Int64
  private let index: Map
  /// Nil as long as the index does.
  private var table: Map?
  /// The numbers of all records that were found, rising.
  private var numbers: [Int64]
  /// How many of them lie behind us.
  private var passed = 0

  /// Looks for the records of the rollout with this number in the list, whose last record should be number `last`.
  init(of rollout: Int64, last: Int64?, _ db: Database) throws {
    self.rollout = rollout
    index = try Self.map(of: rollout, "INDEXED BY records_in_order", db)
    numbers = index.rows.keys.sorted()
    let isWhole = numbers.first == 1 && numbers.last == last && Int64(numbers.count) == last
    if !isWhole { try searchTable(db) }
  }

  /// The lowest number above `place`.
  mutating func next(after place: Int64) -> Int64? {
    while passed < numbers.count {
      if numbers[passed] > place { return numbers[passed] }
      passed += 1
    }
    return nil
  }

  /// The record with this number: of what is there, what `isSound` takes for the right one, else the first.
  mutating func record(
    _ number: Int64, _ db: Database, isSound: (StoredRecord) -> Bool
  ) throws -> Result<StoredRecord, RecordDamage> {
    let byIndex = try index.rows[number].map { try Self.row($0, db) }
    if case .success(let record) = byIndex, isSound(record) { return .success(record) }
    try searchTable(db)
    let byTable = try table?.rows[number].map { try Self.row($0, db) }
    if case .success(let record) = byTable, isSound(record) { return .success(record) }
    if case .success = byIndex { return byIndex ?? .failure(.missing) }
    return byTable ?? byIndex ?? .failure(.missing)
  }

  /// Why records that were not found are not there.
  var absence: RecordDamage {
    guard let obstacle = table?.obstacle ?? index.obstacle else { return .missing }
    return .damaged("it is missing, or in a part of the file that can't be read: \(obstacle)")
  }

  private mutating func searchTable(_ db: Database) throws {
    guard table == nil else { return }
    let found = try Self.map(of: rollout, "NOT INDEXED", db)
    numbers = Set(index.rows.keys).union(found.rows.keys).sorted()
    passed = 0
    table = found
  }

  private static func map(of rollout: Int64, _ way: String, _ db: Database) throws -> Map {
    var map = Map()
    do {
      let rows = try Row.fetchCursor(
        db, sql: "SELECT sequence, rowid AS place FROM records \(way) WHERE rollout = ?", arguments: [rollout]
      )
      while let row = try rows.next() {
        let value: DatabaseValue = row["sequence"]
        // A row with a damaged number is found by the number that is missing.
        guard case .int64(let number) = value.storage, map.rows[number] == nil else { continue }
        map.rows[number] = try row.number("place")
      }
    } catch {
      guard let why = JournalFailures.damage(error) else { throw error }
      map.obstacle = why
    }
    return map
  }

  private static func row(_ place: Int64, _ db: Database) throws -> Result<StoredRecord, RecordDamage> {
    do {
      // Neither rollout nor number is asked for: what the text is chained to says whose it is.
      let row = try Row.fetchOne(
        db.cachedStatement(sql: "SELECT payload, hash FROM records WHERE rowid = ?"), arguments: [place])
      guard let row else { return .failure(.missing) }
      let payload: DatabaseValue = row["payload"]
      let hash: DatabaseValue = row["hash"]
      guard case .blob(let text) = payload.storage, case .blob(let digest) = hash.storage else {
        return .failure(.damaged("its row has no proper text or hash"))
      }
      return .success(StoredRecord(payload: [UInt8](text), hash: [UInt8](digest)))
    } catch {
      guard let why = JournalFailures.damage(error) else { throw error }
      return .failure(.damaged("it can't be read: \(why)"))
    }
  }
}
