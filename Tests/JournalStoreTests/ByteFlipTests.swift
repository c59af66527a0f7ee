import FoundationEssentials
import Glibc
import Ports
import RolloutModel
import Testing

@testable import JournalStore

@Suite("A journal in which any byte is wrong")
struct ByteFlipTests {
  /// The journal's bytes, what they say, and where the records' texts and hashes lie.
  private struct Original: Sendable {
    var bytes: [UInt8]
    var records: [JournalRecord]
    var summary: RolloutSummary
    /// The number of the record whose text or hash a byte belongs to, by the byte's place; a last record's hash stands twice.
    var owners: [Int: Int64] = [:]
  }

  @Test(
    "Each byte flipped in turn: every read gives what was written, or an error that names the journal or the record"
  )
  func everyByte() async throws {
    let original = try await original()
    // Most of a small journal is unused: there each 17th byte does, unless all are asked for.
    let isFull = ProcessInfo.processInfo.environment["SWITCHYARD_ALL_FLIPS"] != nil
    let places = original.bytes.indices.filter { isFull || original.bytes[$0] != 0 || $0 % 17 == 0 }
    #expect(original.owners.count > 1000)
    let found = try await withThrowingTaskGroup(of: Int.self) { group in
      for worker in 0..<2 {
        group.addTask {
          let scratch = try Scratch()
          var found = 0
          for place in places where place % 2 == worker {
            for mask in isFull ? [0x01, 0x20, 0x80, 0xff] as [UInt8] : [Self.mask(for: place)] {
              if try await flip(place, mask, of: original, in: scratch) { found += 1 }
            }
          }
          return found
        }
      }
      return try await group.reduce(0, +)
    }
    // What is not found lies where the file holds nothing.
    #expect(found > original.owners.count)
  }

  private static func mask(for place: Int) -> UInt8 { 1 << (place / 2 % 8) }

  /// Whether the damage was found.
  private func flip(
    _ place: Int, _ mask: UInt8, of original: Original, in scratch: Scratch
  ) async throws -> Bool {
    var bytes = original.bytes
    bytes[place] ^= mask
    try put(bytes, in: scratch)
    let about = "byte \(place), mask \(mask)"
    let store: JournalStore
    do {
      store = try JournalStore(reading: scratch.state)
    } catch {
      #expect(error.message.contains(StateFolder.journal(in: scratch.state)), "\(about): \(error)")
      #expect(!error.hint.isEmpty && original.owners[place] == nil, "\(about): \(error)")
      return true
    }
    try await readStrictly(store, original, about)
    return try await inspect(store, original, place, about)
  }

  /// As a controller reads.
  private func readStrictly(_ store: JournalStore, _ original: Original, _ about: String) async throws {
    do {
      #expect(try await store.records(of: "r-1", limit: 100) == original.records, "\(about)")
    } catch {
      #expect(error.message.contains("journal") && !error.hint.isEmpty, "\(about): \(error)")
      #expect(!error.hint.contains("bug"), "\(about): \(error)")
    }
  }

  /// As `journal verify` reads.
  private func inspect(
    _ store: JournalStore, _ original: Original, _ place: Int, _ about: String
  ) async throws -> Bool {
    let inspection: JournalInspection
    do { inspection = try await store.inspect(.all, checkingFile: true) } catch {
      Issue.record("\(about): \(error)")
      return true
    }
    var sound: [JournalRecord] = []
    var named: [Int64] = []
    var isWhole = inspection.damage.isEmpty
    for var rollout in inspection.rollouts {
      let records = try await rollout.next(100)
      #expect(try await rollout.next(100).isEmpty, "\(about)")
      for record in records {
        switch record.outcome {
        case .success(let found): sound.append(found)
        case .failure: named += [record.sequence]
        }
      }
      isWhole = isWhole && named.isEmpty && rollout.damage.isEmpty
    }
    #expect(sound.allSatisfy { original.records.contains($0) }, "\(about): a wrong record is taken for sound")
    if isWhole {
      #expect(sound == original.records, "\(about)")
      var summary = try #require(try await store.rollouts().first)
      // How a rollout stood last is noted for lists alone; the records say how it really stands.
      summary.state = original.summary.state
      #expect(summary == original.summary, "\(about)")
    }
    if let owner = original.owners[place] {
      #expect(named == [owner], "\(about): record \(owner) is damaged, and \(named) were named")
      #expect(sound == original.records.filter { $0.sequence != owner }, "\(about)")
    }
    return !isWhole
  }

  private func original() async throws -> Original {
    let scratch = try Scratch()
    let store = try scratch.makeStore()
    try await store.create(try makePlan("r-1"), wall: 5)
    try await store.append((2...4).map { entry($0) }, to: "r-1", wall: 6)
    try await store.note(.paused, of: "r-1")
    try scratch.checkpoint()
    let file = URL(filePath: StateFolder.journal(in: scratch.state))
    var original = Original(
      bytes: Array(try Data(contentsOf: file)), records: [],
      summary: try #require(try await store.rollouts().first))
    original.records = try await store.records(of: "r-1", limit: 100)
    for var rollout in try await store.inspect(.all).rollouts {
      for record in try await rollout.next() {
        let stored = try #require(record.payload) + (try #require(record.hash))
        // Text and hash stand beside one another in a row.
        let start = try #require(original.bytes.firstRange(of: stored)?.lowerBound)
        for place in start..<start + stored.count { original.owners[place] = record.sequence }
      }
    }
    return original
  }

  private func put(_ bytes: [UInt8], in scratch: Scratch) throws {
    mkdir(scratch.state, 0o700)
    let path = StateFolder.journal(in: scratch.state)
    for ending in ["-wal", "-shm"] { unlink(path + ending) }
    try Data(bytes).write(to: URL(filePath: path))
  }
}
