import FoundationEssentials
import Glibc
import Ports
import RolloutModel
import Testing

@testable import JournalStore

/// A journal that a version of this program wrote, kept for all later versions: Golden/VERSION/journal.sqlite, and the same as
/// text in records.jsonl.
struct Golden: Sendable, CustomTestStringConvertible {
  let version: String
  /// The hash of each rollout's last record, oldest rollout first: whoever changes a golden file changes these.
  let heads: [String]
  let rollouts: @Sendable () throws -> [(id: String, entries: [JournalEntry])]

  static let all = [
    Golden(
      version: "0.1.0",
      heads: [
        "bf7927e997d605e4e1f15c36020d8a9565dd789760df818e62fc82c72a87f17c",
        "362621b99185a33b945d2b54cc6dc882fe1ce72755ccc0e39b36666f40bc5f0d",
        "4a60882d0c188d0011f1a03fd541be3328664c3d4f5d3528225e8997bb39c80c",
        "ce36f563606dec8bf8e8105ac5ebdb9a7fa3031a36b86f073c55f30cb3736053",
      ],
      rollouts: Golden010.rollouts)
  ]

  static let root = String(#filePath.dropLast("GoldenTests.swift".count)) + "Golden/"

  var testDescription: String { version }
  var folder: String { Self.root + version }

  func lines() throws -> [ExportedRecord] {
    try text().split(separator: "\n").map {
      try JSONDecoder().decode(ExportedRecord.self, from: Data($0.utf8))
    }
  }

  func text() throws -> String {
    String(decoding: try Data(contentsOf: URL(filePath: folder + "/records.jsonl")), as: UTF8.self)
  }

  /// The journal, in a place where SQLite may write beside it.
  func store(in scratch: Scratch) throws -> JournalStore {
    #expect(mkdir(scratch.state, 0o700) == 0)
    try FileManager.default.copyItem(
      atPath: folder + "/journal.sqlite", toPath: StateFolder.journal(in: scratch.state))
    return try JournalStore(reading: scratch.state)
  }
}

@Suite("Journals of this version and of all before it")
struct GoldenTests {
  @Test("Every kind of entry occurs in the golden journals")
  func everyKind() throws {
    var shapes = Shapes()
    for golden in Golden.all {
      for (_, entries) in try golden.rollouts() { for entry in entries { shapes.add(entry) } }
    }
    let missing = Shape.allCases.filter { !shapes.found.contains($0) }
    #expect(
      missing.isEmpty, "add them to a golden journal of a new version (see CONTRIBUTING.md): \(missing)")
  }

  @Test("Each golden journal on the disk has its values here")
  func allAreChecked() throws {
    let kept = try FileManager.default.contentsOfDirectory(atPath: Golden.root).sorted()
    #expect(kept == Golden.all.map(\.version).sorted())
  }

  @Test("The file is read as what was written", arguments: Golden.all)
  func file(golden: Golden) async throws {
    let store = try golden.store(in: try Scratch())
    let rollouts = try golden.rollouts()
    #expect(try await store.rollouts().map(\.id) == rollouts.map(\.id).reversed())
    for (id, entries) in rollouts {
      let records = try await store.records(of: id, limit: 1000)
      #expect(records.map(\.entry) == entries)
      #expect(records.map(\.sequence) == (0..<entries.count).map { Int64($0) + 1 })
    }
  }

  @Test("The file is whole, and its export is the text", arguments: Golden.all)
  func export(golden: Golden) async throws {
    let store = try golden.store(in: try Scratch())
    #expect(try await exported(store) == (try golden.lines()))
  }

  @Test("Each text is read as what was written, and written again as it was", arguments: Golden.all)
  func text(golden: Golden) throws {
    let lines = try golden.lines()
    var heads: [String] = []
    for (id, entries) in try golden.rollouts().reversed() {
      let own = lines.filter { $0.rollout == id }
      #expect(own.count == entries.count)
      for (line, entry) in zip(own, entries) {
        let bytes = Array(try #require(line.payload).utf8)
        let found = try RecordChain.decode(bytes, sequence: line.sequence)
        #expect(
          found.record == JournalRecord(sequence: line.sequence, wall: try #require(line.wall), entry: entry))
        #expect(found.version == line.version)
        // A form that is no longer written may be read otherwise than it would be written.
        guard found.version == RecordChain.version else { continue }
        #expect(String(decoding: try RecordChain.encode(found.record), as: UTF8.self) == line.payload)
      }
      heads.insert(own.last?.hash ?? "", at: 0)
    }
    #expect(heads == golden.heads)
  }

  @Test(
    "Writes a golden journal where there is none (see CONTRIBUTING.md)",
    .enabled(if: ProcessInfo.processInfo.environment["SWITCHYARD_GOLDEN"] == "write"))
  func write() async throws {
    for golden in Golden.all where access(golden.folder, F_OK) != 0 {
      let scratch = try Scratch()
      let store = try scratch.makeStore()
      for (id, entries) in try golden.rollouts() {
        guard case .plan(let plan) = entries.first else { continue }
        try await store.create(plan, wall: Golden010.start)
        for (number, entry) in entries.enumerated().dropFirst() {
          try await store.append([entry], to: id, wall: Golden010.start + Int64(number) * 1000)
        }
      }
      try scratch.checkpoint()
      let records = try await exported(try JournalStore(reading: scratch.state))
      let text = try records.map { String(decoding: try canonicalJSON($0), as: UTF8.self) + "\n" }.joined()
      try FileManager.default.createDirectory(atPath: golden.folder, withIntermediateDirectories: true)
      try Data(text.utf8).write(to: URL(filePath: golden.folder + "/records.jsonl"))
      try FileManager.default.copyItem(
        atPath: StateFolder.journal(in: scratch.state), toPath: golden.folder + "/journal.sqlite")
    }
  }

  /// All records of a journal that is whole.
  private func exported(_ store: JournalStore) async throws -> [ExportedRecord] {
    let inspection = try await store.inspect(.all, checkingFile: true)
    #expect(inspection.damage.isEmpty)
    var records: [ExportedRecord] = []
    for var rollout in inspection.rollouts {
      while case let page = try await rollout.next(50), !page.isEmpty {
        records += page.map { ExportedRecord($0, of: rollout.rollout) }
      }
      #expect(rollout.damage.isEmpty)
    }
    #expect(records.allSatisfy { $0.damaged == nil })
    return records
  }
}
