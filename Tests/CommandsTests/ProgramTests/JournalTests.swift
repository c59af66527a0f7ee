import CoreFoundation
import FoundationEssentials
import Glibc
import Testing

@Suite("The journal's verbs")
struct JournalTests {
  private static let golden =
    String(#filePath.dropLast("CommandsTests/ProgramTests/JournalTests.swift".count))
    + "JournalStoreTests/Golden/0.1.0/"

  private static func golden(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: golden + name)))
  }

  /// Runs a verb on a copy of the golden journal, in which `change` may have damaged something.
  private func run(
    _ words: [String], in folder: Folder, changing change: (inout [UInt8]) throws -> Void = { _ in }
  ) async throws -> Program.Outcome {
    var bytes = try Self.golden("journal.sqlite")
    try change(&bytes)
    mkdir(folder.path("state"), 0o700)
    for ending in ["-wal", "-shm"] { unlink(folder.path("state/journal.sqlite" + ending)) }
    try folder.write(bytes, to: "state/journal.sqlite")
    let outcome = try await Program.run(["journal"] + words + ["--state", folder.path("state")], in: folder)
    #expect(outcome.output.hasOnlyText && outcome.errors.hasOnlyText)
    return outcome
  }

  /// Damages the record of `everything-1` in which a text stands.
  private func damage(_ text: String) -> (inout [UInt8]) throws -> Void {
    { bytes in
      let place = try #require(bytes.firstRange(of: Array(text.utf8))?.lowerBound)
      bytes[place] ^= 1
    }
  }

  /// Words of record 24.
  private let words = "the old side does not answer"

  // MARK: verify

  @Test("A whole journal is whole, and of an ID only that rollout is told")
  func whole() async throws {
    try await Folder.with { folder in
      let all = try await run(["verify"], in: folder)
      #expect(all.code == 0 && all.errors.isEmpty)
      #expect(
        all.output == """
          rollout hooks-4: 27 records, 1 to 27, whole
          rollout none-3: 1 record, 1 to 1, whole
          rollout command-2: 1 record, 1 to 1, whole
          rollout everything-1: 67 records, 1 to 67, whole
          \(folder.path("state")): 4 rollouts, 96 records: whole

          """)
      let one = try await run(["verify", "none-3"], in: folder)
      #expect(one.code == 0 && one.output.hasPrefix("rollout none-3: ") && !one.output.contains("command-2"))
    }
  }

  @Test("A damaged record is named with the reason and what to do, and the exit code is that of a tool error")
  func damagedRecord() async throws {
    try await Folder.with { folder in
      let outcome = try await run(["verify"], in: folder, changing: damage(words))
      #expect(outcome.code == 1)
      #expect(outcome.output.contains("rollout everything-1: 67 records, 1 to 67, 66 readable, damaged\n"))
      #expect(outcome.output.contains("\n  record 30: its hash does not fit\n"))
      #expect(outcome.output.hasSuffix("4 rollouts, 96 records: damaged\n"))
      #expect(
        outcome.errors.contains("restore it from a backup") && outcome.errors.contains("journal export"))
    }
  }

  @Test("The same as JSON")
  func json() async throws {
    struct Report: Decodable {
      struct Rollout: Decodable {
        struct Damaged: Decodable {
          var sequence: Int
          var through: Int
          var why: String
          var hint: String
        }
        var id: String
        var records: Int
        var first: Int
        var last: Int
        var readable: Int
        var whole: Bool
        var damaged: [Damaged]
        var damage: [String]
      }
      var whole: Bool
      var damage: [String]
      var rollouts: [Rollout]
    }
    try await Folder.with { folder in
      let outcome = try await run(["verify", "--output", "json"], in: folder, changing: damage(words))
      #expect(outcome.code == 1 && !outcome.errors.isEmpty)
      let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
      #expect(!report.whole && report.damage.isEmpty && report.rollouts.map(\.id).first == "hooks-4")
      let rollout = try #require(report.rollouts.last)
      #expect(rollout.records == 67 && rollout.readable == 66 && rollout.first == 1 && rollout.last == 67)
      #expect(!rollout.whole && rollout.damage.isEmpty)
      #expect(rollout.damaged.map(\.sequence) == [30] && rollout.damaged.map(\.through) == [30])
      #expect(rollout.damaged.allSatisfy { !$0.why.isEmpty && !$0.hint.isEmpty })
    }
  }

  // MARK: show

  @Test("Records are lines with number, time and host; a damaged one says so in its place")
  func show() async throws {
    try await Folder.with { folder in
      let whole = try await run(["show", "everything-1"], in: folder)
      #expect(whole.code == 0 && whole.errors.isEmpty)
      #expect(
        whole.output.hasPrefix(
          "1  2026-11-23T23:00:00Z planned: demo 2.0.0-rc.1+x86 to 2 hosts by ops@desk\n"))
      #expect(whole.output.contains("\n44  2026-11-23T23:00:43Z h1.example: preflight begins\n"))
      let damaged = try await run(["show", "everything-1"], in: folder, changing: damage(words))
      #expect(damaged.code == 1 && damaged.errors.contains("restore it from a backup"))
      let lines = whole.output.split(separator: "\n")
      #expect(
        damaged.output.split(separator: "\n")
          == lines.map { $0.hasPrefix("30  ") ? "30  damaged: its hash does not fit" : $0 })
      let newest = try await run(["show"], in: folder)
      #expect(newest.output.split(separator: "\n").count == 27)
    }
  }

  @Test("A part of the records, which names its hosts all the same")
  func showPart() async throws {
    try await Folder.with { folder in
      let outcome = try await run(["show", "everything-1", "--after", "43", "--limit", "2"], in: folder)
      let lines = outcome.output.split(separator: "\n")
      #expect(outcome.code == 0 && lines.count == 2)
      #expect(lines.first == "44  2026-11-23T23:00:43Z h1.example: preflight begins")
      for words in [
        ["--after", "-1"], ["--limit", "0"], ["--limit", "x"], ["--after", "99999999999999999999"],
      ] {
        let refused = try await run(["show"] + words, in: folder)
        refused.isRefused(at: "", saying: [words[0]])
      }
    }
  }

  @Test("Without its plan a rollout's hosts go by their places")
  func showWithoutPlan() async throws {
    try await Folder.with { folder in
      let outcome = try await run(
        ["show", "everything-1"], in: folder, changing: damage("the disk was full"))
      #expect(outcome.code == 1)
      #expect(outcome.output.hasPrefix("1  damaged: its hash does not fit\n"))
      #expect(outcome.output.contains("\n44  2026-11-23T23:00:43Z the host at place 0: preflight begins\n"))
    }
  }

  @Test("As JSON, records are those of rollout logs, and a damaged one says so")
  func showJSON() async throws {
    try await Folder.with { folder in
      let outcome = try await run(
        ["show", "everything-1", "--output", "json"], in: folder, changing: damage(words))
      let lines = outcome.output.split(separator: "\n")
      #expect(outcome.code == 1 && lines.count == 67)
      #expect(lines[29] == #"{"damaged":"its hash does not fit","sequence":30}"#)
      #expect(lines[1].hasPrefix(#"{"entry":{"event":"#) && lines[1].contains(#""sequence":2,"version":1"#))
    }
  }

  // MARK: export

  @Test(
    "The export is the golden text, in a pipe and in a file, which is for its owner alone and takes no other's place"
  )
  func export() async throws {
    try await Folder.with { folder in
      let golden = try Self.golden("records.jsonl")
      let pipe = try await run(["export"], in: folder)
      #expect(pipe.code == 0 && pipe.errors.isEmpty && Array(pipe.output.utf8) == golden)
      let file = try await run(["export", "--to", folder.path("records.jsonl")], in: folder)
      #expect(file.code == 0 && file.output.isEmpty && file.errors.isEmpty)
      #expect(Array(try Data(contentsOf: URL(filePath: folder.path("records.jsonl")))) == golden)
      var about = stat()
      #expect(stat(folder.path("records.jsonl"), &about) == 0 && about.st_mode & 0o777 == 0o600)
      let names = try folder.names()
      let again = try await run(["export", "none-3", "--to", folder.path("records.jsonl")], in: folder)
      again.isRefused(at: folder.path("records.jsonl"), saying: ["is there already"])
      #expect(Array(try Data(contentsOf: URL(filePath: folder.path("records.jsonl")))) == golden)
      for place in [folder.path("none/x"), folder.root + "/", folder.root, ""] {
        let refused = try await run(["export", "--to", place], in: folder)
        refused.isRefused(at: "", saying: [])
      }
      #expect(try folder.names() == names, "no unfinished file is left")
    }
  }

  @Test("What is damaged is exported as what it is, and the rest as it is")
  func exportDamaged() async throws {
    try await Folder.with { folder in
      let outcome = try await run(["export", "everything-1"], in: folder, changing: damage(words))
      let golden = String(decoding: try Self.golden("records.jsonl"), as: UTF8.self).split(separator: "\n")
        .filter { $0.contains(#""rollout":"everything-1""#) }
      let lines = outcome.output.split(separator: "\n")
      #expect(outcome.code == 1 && lines.count == 67)
      #expect(lines[29].hasPrefix(#"{"damaged":"its hash does not fit","hash":""#))
      #expect(zip(lines, golden).enumerated().allSatisfy { $0.offset == 29 || $0.element.0 == $0.element.1 })
    }
  }

  @Test(
    "The check in the documentation finds an export whole, and one with a changed letter not",
    .enabled(if: access("/usr/bin/python3", X_OK) == 0))
  func documentedCheck() async throws {
    let root = #filePath.dropLast("Tests/CommandsTests/ProgramTests/JournalTests.swift".count)
    let text = String(
      decoding: try Data(contentsOf: URL(filePath: root + "docs/operations.md")), as: UTF8.self)
    let start = try #require(text.firstRange(of: "```python\n")?.upperBound)
    let end = try #require(text[start...].firstRange(of: "```")?.lowerBound)
    try await Folder.with { folder in
      try folder.write(String(text[start..<end]), to: "check.py")
      let whole = try Self.golden("records.jsonl")
      try folder.write(whole, to: "whole.jsonl")
      var changed = whole
      try damage(words)(&changed)
      try folder.write(changed, to: "changed.jsonl")
      let good = try await Program.run(
        [folder.path("check.py"), folder.path("whole.jsonl")], of: "/usr/bin/python3", in: folder)
      #expect(good.code == 0 && good.output == "96 records, every hash fits\n", "\(good)")
      let bad = try await Program.run(
        [folder.path("check.py"), folder.path("changed.jsonl")], of: "/usr/bin/python3", in: folder)
      #expect(bad.code == 1 && bad.errors.contains("everything-1: record 30"), "\(bad)")
    }
  }

  // MARK: What can't be read

  @Test("A rollout or a journal that is not there is invalid input", arguments: ["verify", "show", "export"])
  func unknown(verb: String) async throws {
    try await Folder.with { folder in
      let none = try await Program.run(["journal", verb, "--state", folder.path("state")], in: folder)
      none.isRefused(at: "there is no journal in \(folder.path("state"));", saying: ["--state"])
      #expect(access(folder.path("state"), F_OK) != 0)
      let unknown = try await run([verb, "none-4\u{1b}[2J"], in: folder)
      unknown.isRefused(at: #"no rollout none-4\u{1b}[2J in "#, saying: ["rollout list"])
    }
  }

  @Test(
    "What is no journal is a tool error that names the file and says what to do",
    arguments: ["verify", "show", "export"])
  func noJournal(verb: String) async throws {
    try await Folder.with { folder in
      let text = try await run([verb], in: folder) {
        $0 = Array(String(repeating: "no database\n", count: 99).utf8)
      }
      #expect(text.code == 1 && text.output.isEmpty)
      #expect(
        text.errors.contains("\(folder.path("state"))/journal.sqlite") && text.errors.contains("--state"))
      let other = try await run([verb], in: folder) { $0[68] ^= 1 }
      #expect(other.code == 1 && other.errors.contains("is a database of another program"))
      let newer = try await run([verb], in: folder) { $0[63] = 2 }
      #expect(
        newer.code == 1 && newer.errors.contains("has format 2") && newer.errors.contains("newer program"))
      let empty = try await run([verb], in: folder) { $0 = [] }
      #expect(empty.code == 1 && empty.errors.contains("is empty"))
      unlink(folder.path("state/journal.sqlite"))
      mkdir(folder.path("state/journal.sqlite"), 0o700)
      let place = try await Program.run(["journal", verb, "--state", folder.path("state")], in: folder)
      #expect(place.code == 1 && place.errors.contains("journal.sqlite"))
      rmdir(folder.path("state/journal.sqlite"))
    }
  }

  @Test(
    "Whatever byte is wrong, the program ends with an exit code of its own, and calls nothing whole that is not"
  )
  func flips() async throws {
    try await Folder.with { folder in
      let size = try Self.golden("journal.sqlite").count
      let golden = try Self.golden("records.jsonl")
      for number in 0..<120 {
        // Through all pages, and more often where SQLite keeps its own words.
        let place = number % 4 == 0 ? number / 4 % 112 : (number * 1627 + 13) % size
        let verify = try await run(["verify"], in: folder) { $0[place] ^= 1 << (number % 8) }
        #expect((0...1).contains(verify.code), "byte \(place): \(verify)")
        #expect((verify.code == 0) == verify.errors.isEmpty, "byte \(place): \(verify)")
        guard verify.code == 0 else { continue }
        let export = try await run(["export"], in: folder) { $0[place] ^= 1 << (number % 8) }
        #expect(Array(export.output.utf8) == golden, "byte \(place): called whole")
      }
    }
  }
}
