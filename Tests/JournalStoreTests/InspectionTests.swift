import FoundationEssentials
import GRDB
import Glibc
import Ports
import RolloutModel
import Testing

@testable import JournalStore

@Suite("What a look at a damaged journal finds")
struct InspectionTests {
  /// What an inspection of all rollouts found, as lines.
  private struct Found: Equatable {
    var file: [String] = []
    var sound: [Int64] = []
    var damaged: [String] = []
    var rows: [String] = []
  }

  let scratch: Scratch
  let store: JournalStore

  init() async throws {
    scratch = try Scratch()
    store = try scratch.makeStore()
    try await store.create(try makePlan("r-1"), wall: 7)
    try await store.append((2...9).map { entry($0) }, to: "r-1", wall: 8)
  }

  private func damage(_ sql: String, _ arguments: StatementArguments = []) throws {
    try scratch.raw("DROP TRIGGER IF EXISTS records_keep; DROP TRIGGER IF EXISTS records_stay")
    try scratch.raw(sql, arguments)
  }

  private func found(
    _ limit: Int = 3, in other: JournalStore? = nil, checkingFile: Bool = false
  ) async throws -> Found {
    let inspection = try await (other ?? store).inspect(.all, checkingFile: checkingFile)
    var found = Found(file: inspection.damage)
    for var rollout in inspection.rollouts {
      while case let page = try await rollout.next(limit), !page.isEmpty {
        for record in page {
          if let damage = record.damage {
            found.damaged.append("\(record.sequence)-\(record.through) \(damage.why)")
          } else {
            found.sound.append(record.sequence)
          }
        }
      }
      found.rows += rollout.damage
    }
    return found
  }

  @Test("A whole journal is whole, whatever the size of the pages", arguments: [1, 2, 9, 10, 1000])
  func whole(limit: Int) async throws {
    #expect(try await found(limit, checkingFile: true) == Found(sound: Array(1...9)))
  }

  @Test("What is appended meanwhile is not waited for")
  func growing() async throws {
    var rollout = try #require(try await store.inspect(.newest).rollouts.first)
    _ = try await rollout.next(4)
    try await store.append([entry(10)], to: "r-1", wall: 9)
    #expect(try await rollout.next(100).map(\.sequence) == Array(5...9))
    #expect(try await rollout.next(100).isEmpty && rollout.damage.isEmpty)
  }

  @Test("A damaged hash makes its own record damaged, and not the next one", arguments: [1, 5, 9])
  func hash(number: Int64) async throws {
    try damage("UPDATE records SET hash = zeroblob(32) WHERE sequence = ?", [number])
    let found = try await found()
    #expect(found.damaged == ["\(number)-\(number) its hash does not fit"])
    #expect(found.sound == (1...9).filter { $0 != number } && found.rows.isEmpty)
  }

  @Test("A damaged text makes its own record damaged, and no other", arguments: [1, 5, 9])
  func payload(number: Int64) async throws {
    try damage("UPDATE records SET payload = x'7b7d' WHERE sequence = ?", [number])
    let found = try await found()
    #expect(found.damaged == ["\(number)-\(number) its hash does not fit"])
    #expect(found.sound == (1...9).filter { $0 != number } && found.rows.isEmpty)
  }

  @Test("Records that are missing are told as one gap; the one behind it can't be checked, the rest can")
  func gap() async throws {
    try damage("DELETE FROM records WHERE sequence IN (4, 5, 6)")
    let found = try await found()
    #expect(
      found.damaged == [
        "4-6 it is missing", "7-7 the record before it can't be read, so that its hash can't be checked",
      ])
    #expect(found.sound == [1, 2, 3, 8, 9])
  }

  @Test("A tail that is missing is one gap, however long the list says it is")
  func tail() async throws {
    try damage("DELETE FROM records WHERE sequence > 7")
    #expect(try await found().damaged == ["8-9 it is missing"])
    try damage("UPDATE rollouts SET last = ?", [Int64.max])
    #expect(try await found().damaged == ["8-\(Int64.max) it is missing"])
  }

  @Test("Numbers far behind the last one are no gap")
  func strayNumber() async throws {
    try damage("UPDATE records SET sequence = ? WHERE sequence = 9", [Int64.max])
    let found = try await found()
    #expect(
      found.damaged == [
        "9-9 it is missing",
        "\(Int64.max)-\(Int64.max) its number lies far behind that of the last record, 9",
      ])
    #expect(found.sound == Array(1...8))
  }

  @Test("A list that says otherwise than the records is told, and the records are sound")
  func list() async throws {
    try damage("UPDATE rollouts SET last = 3, agent = 'x', created = 1, head = zeroblob(32)")
    let found = try await found()
    #expect(found.sound == Array(1...9) && found.damaged.isEmpty)
    #expect(
      found.rows == [
        "the list has “x” as its agent, and its plan “demo”",
        "the list has “1” as its time, and its plan “7”",
        "the list names 3 as its last record, and there are records up to 9",
        "the list has another hash for its last record: record 9 is not the last one that was written",
      ])
  }

  @Test("A list that has lost a rollout leaves its records behind")
  func lostRow() async throws {
    try damage("UPDATE rollouts SET number = 77")
    let found = try await found(checkingFile: true)
    #expect(found.file.contains("9 records are of no rollout in the list"))
    #expect(found.damaged == ["1-9 it is missing"])
  }

  @Test("Another rollout's ID fits no record")
  func otherID() async throws {
    try damage("UPDATE rollouts SET id = 'r-3'")
    let found = try await found()
    #expect(found.damaged == ["1-1 its hash does not fit"], "what follows is chained to it, whatever it says")
  }

  @Test("A record of a newer program is told by its version, and those behind it are read")
  func newer() async throws {
    let text = Array(#"{"version":2,"something":"new"}"#.utf8)
    let hash = RecordChain.hash(text, after: RecordChain.root(of: "r-1"))
    try damage(
      "UPDATE records SET payload = ?, hash = ? WHERE sequence = 1", [Data(text), Data(hash)])
    #expect(
      try await found().damaged == [
        "1-1 it has version 2, and this program reads versions up to 1", "2-2 its hash does not fit",
      ])
  }

  @Test("With the index destroyed, every record is still read from the table")
  func index() async throws {
    try overwritePage(of: "records_in_order")
    let found = try await found(in: try JournalStore(reading: scratch.state), checkingFile: true)
    #expect(found.sound == Array(1...9) && found.damaged.isEmpty)
    #expect(found.file.contains { $0.hasPrefix("SQLite") })
  }

  @Test("With a page of the table destroyed, the records on all other pages are read")
  func page() async throws {
    for number in 10...60 {
      try await store.append([entry(number, String(repeating: "x", count: 300))], to: "r-1", wall: 9)
    }
    try scratch.checkpoint()
    let path = StateFolder.journal(in: scratch.state)
    var bytes = Array(try Data(contentsOf: URL(filePath: path)))
    // The page that begins with the row in which this stands.
    let place = try #require(bytes.firstRange(of: Array("entry 30x".utf8))?.lowerBound)
    for byte in (place / 4096 * 4096)..<(place / 4096 * 4096 + 4096) { bytes[byte] = 0xaa }
    try Data(bytes).write(to: URL(filePath: path))
    let found = try await found(in: try JournalStore(reading: scratch.state), checkingFile: true)
    #expect(found.sound.count > 45 && found.sound.contains(1) && found.sound.contains(60))
    #expect(!found.sound.contains(30) && !found.damaged.isEmpty)
    #expect(found.file.contains { $0.hasPrefix("SQLite") })
  }

  /// Destroys the first page of a table or index.
  private func overwritePage(of name: String) throws {
    try scratch.checkpoint()
    let path = StateFolder.journal(in: scratch.state)
    let page = try DatabaseQueue(path: path).inDatabase { db in
      try Int.fetchOne(db, sql: "SELECT rootpage FROM sqlite_master WHERE name = ?", arguments: [name])
    }
    var bytes = Array(try Data(contentsOf: URL(filePath: path)))
    let start = (try #require(page) - 1) * 4096
    for byte in start..<start + 4096 { bytes[byte] = 0xaa }
    try Data(bytes).write(to: URL(filePath: path))
  }
}
