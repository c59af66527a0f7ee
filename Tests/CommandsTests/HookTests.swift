import Ports
import RolloutModel
import Testing

@testable import Commands

@Suite("What a rollout's playbooks come to")
struct HookTests {
  private func end(
    _ host: String, _ outcome: PlaybookHostReport.Outcome, task: String = "", why: String = ""
  ) -> PlaybookHostReport {
    PlaybookHostReport(
      host: host, outcome: outcome, counts: PlaybookCounts(),
      door: PlaybookDoorChoice(.ssh, why: "asked for"),
      failedTask: task, reason: why)
  }

  private func outcome(_ hosts: [PlaybookHostReport], isLate: Bool = false) -> HookOutcome {
    var report = PlaybookReport(playbook: "checks.yml", digest: "", hosts: hosts)
    report.isLate = isLate
    return PlaybookHooks.outcome(of: report, within: .seconds(1200))
  }

  private func reason(_ outcome: HookOutcome) -> String {
    if case .failed(let reason, _) = outcome { reason } else { "\(outcome)" }
  }

  @Test("A hook passes where every host has done it, or is in no play")
  func passes() {
    #expect(
      outcome([end("h1", .ok), end("h2", .changed), end("h3", .skipped), end("h4", .unmatched)]) == .passed)
  }

  @Test("A failed hook names the first host, its task and why, and how many more there are")
  func fails() {
    let bad = end("h2", .failed, task: "Look at the disk", why: "it is full")
    #expect(reason(outcome([end("h1", .ok), bad])) == "h2 ended as failed: Look at the disk: it is full")
    let many = [bad, end("h3", .unreachable, why: "no route"), end("h4", .lost)]
    #expect(
      reason(outcome(many))
        == "h2 ended as failed: Look at the disk: it is full; so it is on 2 more hosts")
  }

  @Test("A hook that takes too long says after how many minutes")
  func late() {
    #expect(
      reason(outcome([end("h1", .lost, why: "broken off")], isLate: true))
        == "not done after 20 minutes: h1 ended as lost: broken off")
  }

  @Test("A hostile host's name does not reach the terminal as it is")
  func hostile() { #expect(!reason(outcome([end("h\u{1b}[31m", .failed)])).contains("\u{1b}")) }

  @Test("The log tells tasks, what they changed and where they failed, and leaves out what changed nothing")
  func words() {
    func result(_ outcome: PlaybookTaskResult.Outcome, _ message: String = "") -> String? {
      PlaybookEvent.result(
        PlaybookTaskResult(
          host: "h1", task: PlaybookTask(name: "Write", play: "p"), outcome: outcome, message: message)
      ).words
    }
    #expect(PlaybookEvent.task(PlaybookTask(name: "Write", play: "p"), host: nil).words == "runs Write")
    #expect(result(.ok) == nil && result(.skipped) == nil)
    #expect(result(.changed) == "changed: Write")
    #expect(result(.failed, "no space") == "failed: Write: no space")
    #expect(
      PlaybookEvent.ended(end("h1", .failed, task: "Write", why: "no space")).words
        == "ended as failed: Write: no space")
  }
}
