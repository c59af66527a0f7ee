import RolloutModel
import Testing

@testable import Playbooks
@testable import Ports

@Suite("What Ansible's runner says")
struct LineTests {
  @Test("Outcomes of tasks are told apart", arguments: [7, 1000, 1 << 20])
  func outcomes(pieces: Int) async throws {
    let (_, told) = await LineReader.fed(try Recording.run, hosts: ["a", "b", "c"], pieces: pieces)
    #expect(await told.outcomes("a", "Say") == [.ok])
    #expect(await told.outcomes("c", "Secret") == [.unreachable])
    #expect(await told.outcomes("a", "Skipped") == [.skipped])
    #expect(await told.outcomes("b", "Fails, ignored") == [.ignored])
    #expect(await told.outcomes("b", "Bad") == [.failed])
    #expect(await told.outcomes("b", "Loop") == [.changed])
    #expect(await told.outcomes("b", "Loop that fails on b") == [.failed])
    #expect(await told.outcomes("a", "Loop that fails on b") == [.skipped])
  }

  @Test("Each host's end follows from the numbers at the end, rescued and ignored tasks among them")
  func ends() async throws {
    let (reader, _) = await LineReader.fed(try Recording.run, hosts: ["a", "b", "c"])
    let tally = await reader.tally
    let a = tally.report("a", door: overSSH, brokenOff: nil)
    #expect(a.outcome == .changed)
    #expect(a.counts.rescued == 1)
    #expect(a.counts.ignored == 2)
    #expect(a.reason.isEmpty)
    #expect(a.told == ["state": "active"])
    let b = tally.report("b", door: overSSH, brokenOff: nil)
    #expect(b.outcome == .failed)
    #expect(b.failedTask == "Loop that fails on b")
    #expect(b.reason.contains("/nowhere"))
    let c = tally.report("c", door: overSSH, brokenOff: nil)
    #expect(c.outcome == .unreachable)
    #expect(tally.report("d", door: overSSH, brokenOff: nil).outcome == .unmatched)
  }

  @Test("A host whose play was ended for the sake of others has not come to its end")
  func playsEndedForAll() {
    func result(_ host: String, _ outcome: PlaybookTaskResult.Outcome) -> RunnerLine.Content {
      .result(
        PlaybookTaskResult(
          host: host, task: PlaybookTask(name: "T", play: "P"), outcome: outcome, message: "no"))
    }
    var tally = RunTally(hosts: ["early", "failed", "stopped"])
    // A batch of its own, which was done before.
    for content in [.play("P"), result("early", .changed), .play("P")] { tally.take(content) }
    tally.take(result("stopped", .changed))
    tally.take(result("failed", .failed))
    tally.take(.playEnded)
    var counts = ["early", "failed", "stopped"].reduce(into: [:]) { $0[$1] = PlaybookCounts() }
    for host in counts.keys { counts[host]?.changed = 1 }
    counts["failed"]?.failed = 1
    tally.take(.stats(counts, told: [:]))
    let ends = ["early", "failed", "stopped"].map { tally.report($0, door: overSSH, brokenOff: nil).outcome }
    #expect(ends == [.changed, .failed, .lost])
  }

  @Test(
    "Where a play on the controller itself fails, hosts that no play has come to are not left out but failed")
  func playsElsewhere() {
    var tally = RunTally(hosts: ["web"])
    let task = PlaybookTask(name: "Smoke", play: "P")
    tally.take(
      .result(PlaybookTaskResult(host: "localhost", task: task, outcome: .failed, message: "no answer")))
    var counts = PlaybookCounts()
    counts.failed = 1
    var rescued = tally
    tally.take(.stats(["localhost": counts], told: [:]))
    let report = tally.report("web", door: overSSH, brokenOff: nil)
    #expect(report.outcome == .failed && report.failedTask == "Smoke")
    #expect(report.reason.contains("localhost") && report.reason.contains("no answer"))
    counts = PlaybookCounts()
    counts.rescued = 1
    rescued.take(.stats(["localhost": counts], told: [:]))
    #expect(rescued.report("web", door: overSSH, brokenOff: nil).outcome == .unmatched)
  }

  @Test("Numbers that a host's runner makes up are bounded")
  func claims() throws {
    let line =
      #"{"event": "playbook_on_stats", "event_data": {"ok": {"a": 9223372036854775807}, "changed": {"a": -9}}}"#
    guard case .stats(let counts, _)? = RunnerLine(Array(line.utf8), isSecret: false)?.content else {
      Issue.record("no stats")
      return
    }
    #expect(counts["a"]?.ok == 1_000_000)
    #expect(counts["a"]?.changed == 0)
  }

  @Test(
    "A result that must not be logged is hidden, and a vault's run withholds all but what the playbook tells on purpose"
  )
  func secrets() async throws {
    let (_, told) = await LineReader.fed(try Recording.run, hosts: ["a", "b", "c"])
    let hidden = await told.results.filter { $0.task.name == "Secret that fails" && $0.outcome == .ignored }
    #expect(hidden.count == 2)
    #expect(hidden.allSatisfy { $0.message.contains("no_log") })
    let (reader, withheld) = await LineReader.fed(try Recording.run, hosts: ["a", "b", "c"], isSecret: true)
    let failed = await withheld.results.filter { $0.outcome == .failed }
    #expect(!failed.isEmpty)
    #expect(failed.allSatisfy { $0.message.contains("withheld") })
    #expect(await reader.tally.report("a", door: overSSH, brokenOff: nil).told == ["state": "active"])
  }

  @Test("A result with _ansible_no_log is hidden even where its words came along")
  func notCensored() throws {
    let line = #"""
      {"event": "runner_on_failed", "event_data": {"host": "a", "task": "T", "res": {"_ansible_no_log": true, "msg": "planted",
      "results": [{"failed": true, "msg": "planted"}]}}}
      """#.replacing("\n", with: " ")
    guard case .result(let result)? = RunnerLine(Array(line.utf8), isSecret: false)?.content else {
      Issue.record("no result")
      return
    }
    #expect(!result.message.contains("planted"))
  }

  @Test("A worker's artifacts are passed over, whatever they look like", arguments: [1, 64, 1 << 20])
  func worker(pieces: Int) async throws {
    let (reader, told) = await LineReader.fed(
      try Recording.worker, hosts: ["a"], pieces: pieces, perHost: "a")
    #expect(await reader.isOver)
    #expect(await reader.flaw == nil)
    #expect(await reader.status?.word == "successful")
    #expect(await reader.tally.report("a", door: overSSH, brokenOff: nil).outcome == .changed)
    #expect(await told.outcomes("a", "Loop") == [.changed])
  }

  @Test("A run that breaks off is lost, with the reason, whatever had come before")
  func brokenOff() async throws {
    let bytes = try Recording.run
    let (reader, _) = await LineReader.fed(Array(bytes.prefix(bytes.count / 2)), hosts: ["a"])
    let report = await reader.tally.report("a", door: overSSH, brokenOff: "the connection was lost")
    #expect(report.outcome == .lost)
    #expect(report.reason == "the connection was lost")
  }

  @Test("A host's claims about other hosts count for nothing")
  func claims() async throws {
    let line =
      #"{"event": "runner_on_failed", "event_data": {"host": "b", "task": "T", "res": {"msg": "x"}}}"# + "\n"
    let (reader, told) = await LineReader.fed(Array(line.utf8), hosts: ["a"], perHost: "a")
    #expect(await told.results.isEmpty)
    #expect(await reader.tally.report("b", door: overSSH, brokenOff: "").failedTask.isEmpty)
  }

  @Test(
    "Lines that mean harm are passed over",
    arguments: [
      "", "{", "[]", "nonsense", "null", "\u{1b}[2J", #"{"event": 7}"#, #"{"zipfile": -5}"#,
      #"{"zipfile": 9223372036854775807}"#, #"{"event": "runner_on_ok", "event_data": {"host": ["a"]}}"#,
      #"{"event": "playbook_on_stats", "event_data": {"ok": "many", "processed": [1]}}"#,
      #"{"event": "runner_on_failed", "event_data": {"host": "a", "res": [[[[]]]]}}"#, #"{"eof": "yes"}"#,
    ])
  func strangeLines(line: String) async throws {
    let good =
      #"{"event": "runner_on_ok", "event_data": {"host": "a", "task": "T", "res": {"changed": true}}}"#
    let (_, told) = await LineReader.fed(Array((line + "\n" + good + "\n").utf8), hosts: ["a"])
    #expect(await told.outcomes("a", "T") == [.changed])
  }

  @Test("What a host says steers no terminal and is bounded")
  func escapes() throws {
    let words = "\\u001b[31mred\\u202e" + String(repeating: "x", count: 100_000)
    let line =
      #"{"event": "runner_on_failed", "event_data": {"host": "a", "task": "\u001b]0;t", "res": {"msg": "\#(words)"}}}"#
    guard case .result(let result)? = RunnerLine(Array(line.utf8), isSecret: false)?.content else {
      Issue.record("no result")
      return
    }
    #expect(!result.message.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x202e })
    #expect(!result.task.name.unicodeScalars.contains { $0.value < 0x20 })
    #expect(result.message.count < 2100)
  }

  @Test("A line that is too long is dropped, and the next one is read")
  func longLines() {
    var cutter = LineCutter(limit: 10)
    var lines: [String] = []
    for piece in ["aaaaaaaa", "bbbbbbbb", "cc\nshort\n"] {
      cutter.push(Array(piece.utf8)) { line in
        lines.append(String(decoding: line, as: UTF8.self))
        return 0
      }
    }
    #expect(lines == ["short"])
    #expect(cutter.dropped == 1)
  }
}
