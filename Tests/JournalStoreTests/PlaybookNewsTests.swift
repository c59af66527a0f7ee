import Ports
import RolloutModel
import Synchronization
import Testing

@testable import Controller

@Suite("What the log and the journal keep of a rollout's playbooks")
struct PlaybookNewsTests {
  private func result(
    _ outcome: PlaybookTaskResult.Outcome, on host: String = "h1", _ name: String = "Write"
  ) -> PlaybookEvent {
    .result(
      PlaybookTaskResult(
        host: host, task: PlaybookTask(name: name, play: "p"), outcome: outcome, message: ""))
  }

  @Test("Kept are doors, what changed or failed, and ends; not what begins or changes nothing")
  func kinds() {
    var kept = KeptPlaybookEvents()
    let door = PlaybookEvent.door(host: "h1", PlaybookDoorChoice(.ssh, why: "as asked"))
    #expect(kept.kept(door) == door)
    for outcome in [PlaybookTaskResult.Outcome.changed, .failed, .unreachable, .ignored] {
      #expect(kept.kept(result(outcome)) == result(outcome))
    }
    #expect(kept.kept(result(.ok)) == nil && kept.kept(result(.skipped)) == nil)
    #expect(kept.kept(.play("p")) == nil)
    #expect(kept.kept(.task(PlaybookTask(name: "Write", play: "p"), host: "h1")) == nil)
  }

  @Test("However much a host does, so much is kept of it, and its end besides")
  func bound() {
    var kept = KeptPlaybookEvents()
    let most = KeptPlaybookEvents.most
    let results = (0..<most * 3).compactMap { kept.kept(result(.changed, "\($0)")) }
    #expect(results == (0..<most).map { result(.changed, "\($0)") })
    #expect(kept.kept(result(.changed, on: "h2")) != nil, "each host has its own bound")
    let failures = (0..<most * 3).compactMap { kept.kept(result(.ignored, "\($0)")) }
    #expect(failures.count == most, "what failed is kept besides what changed")
    var end = PlaybookHostReport(
      host: "h1", outcome: .changed, counts: PlaybookCounts(), door: PlaybookDoorChoice(.ssh, why: ""),
      failedTask: "", reason: "")
    let bare = end
    end.told = ["token": "what a playbook tells to whoever asked"]
    #expect(kept.kept(.ended(end)) == .ended(bare))
  }

  @Test("A host of the rollout goes by its place; one that is none of it keeps its name alone")
  func places() throws {
    final class Lines: RunLog {
      let all = Mutex<[RunLogLine]>([])
      func write(_ line: RunLogLine) { all.withLock { $0.append(line) } }
    }
    struct Still: Timekeeper {
      var now: Moment { Moment(milliseconds: 0) }
      var wall: Int64 { 7 }
      var chance: UInt64 { 0 }
      func sleep(_ span: Span) async throws {}
    }
    let plan = try makePlan("r", hosts: 2)
    let names = plan.hosts.map(\.name)
    let lines = Lines()
    let run = HookRun(.beforeWave, wave: 0, number: 1)
    let scribe = PlaybookScribe(.hook(run), hosts: [1, 9], of: plan, log: lines, time: Still())
    #expect(scribe.take(result(.changed, on: names[1]))?.host == 1)
    #expect(scribe.take(result(.failed, on: "localhost"))?.host == nil)
    #expect(scribe.take(.task(PlaybookTask(name: "Write", play: "p"), host: nil)) == nil)
    let told = lines.all.withLock { $0 }
    #expect(told.map(\.host) == [names[1], "localhost", nil] && told.allSatisfy { $0.source == .playbook })
    #expect(
      told.map(\.text)
        == ["before_wave changed: Write", "before_wave failed: Write", "before_wave runs Write"])
  }
}
