import FoundationEssentials
import GRDB
import Ports
import RolloutModel
import Testing

@testable import JournalStore

@Suite struct DamageTests {
  let scratch: Scratch
  let store: JournalStore

  init() async throws {
    scratch = try Scratch()
    store = try scratch.makeStore()
    try await store.create(try makePlan("r-1"), wall: 0)
    try await store.append((2...9).map { entry($0) }, to: "r-1", wall: 0)
    try scratch.raw("DROP TRIGGER records_keep; DROP TRIGGER records_stay")
  }

  private func error(reading after: Int64 = 0) async -> String {
    await #expect(throws: JournalError.self) { try await store.records(of: "r-1", after: after, limit: 100) }?
      .message ?? ""
  }

  @Test("A bit that flips in a record's text is found; the error names the record, and the rest can be read")
  func flippedText() async throws {
    let row = try await DatabaseQueue(path: StateFolder.journal(in: scratch.state)).read { db in
      try Data.fetchOne(db, sql: "SELECT payload FROM records WHERE sequence = 5")
    }
    let payload = [UInt8](try #require(row))
    for place in stride(from: 0, to: payload.count, by: 7) {
      var bad = payload
      bad[place] ^= 1
      try scratch.raw("UPDATE records SET payload = ? WHERE sequence = 5", [Data(bad)])
      let said = await error()
      #expect(said.hasPrefix("record 5 of rollout r-1 in the journal is damaged"), "byte \(place): \(said)")
    }
    #expect(try await store.records(of: "r-1", limit: 4).map(\.sequence) == [1, 2, 3, 4])
    #expect(try await store.records(of: "r-1", after: 5, limit: 100).map(\.sequence) == [6, 7, 8, 9])
  }

  @Test("A record that was taken out, moved or exchanged is named")
  func rearranged() async throws {
    try scratch.raw("UPDATE records SET sequence = 100 WHERE sequence = 4")
    #expect(await error().contains("record 4 of rollout r-1 in the journal is damaged: it is missing"))
    try scratch.raw("UPDATE records SET sequence = 4 WHERE sequence = 100")
    try scratch.raw("UPDATE records SET sequence = 100 WHERE sequence = 6")
    try scratch.raw("UPDATE records SET sequence = 6 WHERE sequence = 7")
    try scratch.raw("UPDATE records SET sequence = 7 WHERE sequence = 100")
    #expect(await error().contains("record 6 of"))
  }

  @Test("A tail that is missing is seen, and nothing is appended behind it")
  func missingTail() async throws {
    try scratch.raw("DELETE FROM records WHERE sequence > 7")
    #expect(await error().contains("record 8 of rollout r-1 in the journal is damaged: it is missing"))
    #expect(await error(reading: 7).contains("record 8 of"))
    let refused = await #expect(throws: JournalError.self) {
      try await store.append([entry(10)], to: "r-1", wall: 0)
    }
    #expect(refused?.message.contains("record 9 of") == true)
  }

  @Test(
    "A list that names too early a record as the last one ends no log unnoticed", arguments: [-4, 0, 1, 3, 8])
  func earlyEnd(last: Int) async throws {
    try scratch.raw("UPDATE rollouts SET last = ?", [last])
    for limit in 1...10 {
      await #expect(throws: JournalError.self, "pages of \(limit)") {
        var after: Int64 = 0
        while let record = try await store.records(of: "r-1", after: after, limit: limit).last {
          after = record.sequence
        }
      }
    }
  }

  @Test("A damaged hash is seen, and nothing is appended behind it")
  func damagedHash() async throws {
    try scratch.raw("UPDATE records SET hash = zeroblob(32) WHERE sequence = 9")
    #expect(await error().contains("record 9 of"))
    await #expect(throws: JournalError.self) { try await store.append([entry(10)], to: "r-1", wall: 0) }
  }

  @Test("A record that was rewritten with all hashes behind it is still not the last one that was written")
  func rewritten() async throws {
    let forged = RecordChain.hash(Array("{}".utf8), after: RecordChain.root(of: "r-1"))
    try scratch.raw("UPDATE records SET hash = ? WHERE sequence = 9", [Data(forged)])
    #expect(await error().contains("record 9 of"))
  }

  @Test("Records of one rollout do not fit on another one's chain")
  func otherRollout() async throws {
    try await store.create(try makePlan("r-2"), wall: 0)
    try scratch.raw("DELETE FROM records WHERE rollout = 2")
    try scratch.raw("UPDATE records SET rollout = 2 WHERE rollout = 1 AND sequence = 1")
    let said = await #expect(throws: JournalError.self) { try await store.records(of: "r-2", limit: 10) }
    #expect(said?.message.contains("record 1 of rollout r-2") == true)
  }

  @Test("A record of a newer program is refused by its number")
  func newerRecord() async throws {
    let payload = Array(#"{"version":2,"something":"new"}"#.utf8)
    let root = RecordChain.root(of: "r-1")
    try scratch.raw(
      "UPDATE records SET payload = ?, hash = ? WHERE sequence = 1",
      [Data(payload), Data(RecordChain.hash(payload, after: root))])
    #expect(await error().contains("record 1 of rollout r-1 in the journal can't be read: it has version 2"))
  }

  @Test("A record with a sound hash and a text of another record, or none, is named")
  func wrongText() async throws {
    let root = RecordChain.root(of: "r-1")
    let other = try RecordChain.encode(JournalRecord(sequence: 2, wall: 0, entry: entry(2)))
    for text in [other, Array("{".utf8), [], Array(#"{"version":1}"#.utf8), [0xff, 0xfe]] {
      try scratch.raw(
        "UPDATE records SET payload = ?, hash = ? WHERE sequence = 1",
        [Data(text), Data(RecordChain.hash(text, after: root))])
      #expect(await error().contains("record 1 of rollout r-1 in the journal is damaged"))
    }
  }

  @Test("Rows with values of a wrong kind are an error, not a trap")
  func wrongKinds() async throws {
    try scratch.raw(
      """
      PRAGMA writable_schema = ON;
      UPDATE sqlite_master SET sql = replace(sql, 'STRICT', '') WHERE type = 'table';
      """)
    try scratch.raw("UPDATE rollouts SET last = 'many', head = 7")
    let fresh = try scratch.makeStore()
    await #expect(throws: JournalError.self) { try await fresh.rollouts() }
    await #expect(throws: JournalError.self) { try await fresh.records(of: "r-1", limit: 5) }
    await #expect(throws: JournalError.self) { try await fresh.append([entry(1)], to: "r-1", wall: 0) }
  }

  @Test("The journal's tables let nobody change or delete a record")
  func onlyGrows() async throws {
    let other = try Scratch()
    try await other.makeStore().create(try makePlan("r-1"), wall: 0)
    #expect(throws: DatabaseError.self) { try other.raw("DELETE FROM records") }
    #expect(throws: DatabaseError.self) { try other.raw("UPDATE records SET payload = x'00'") }
  }

  @Test("The form of records does not change unnoticed: journals outlive programs")
  func form() throws {
    let event = StampedEvent(.started, at: Moment(milliseconds: 5), wall: 6, chance: 7)
    let bytes = try RecordChain.encode(JournalRecord(sequence: 2, wall: 8, entry: .event(event)))
    #expect(
      String(decoding: bytes, as: UTF8.self)
        == #"{"entry":{"event":{"_0":{"at":5,"chance":7,"event":{"started":{}},"wall":6}}},"sequence":2,"version":1,"wall":8}"#
    )
  }
}
