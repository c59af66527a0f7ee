import Playbooks
import Ports
import RolloutModel

/// Prepares hosts of a rollout with the agent file's playbook.
struct PlaybookPreparer: HostPreparer {
  let doors: AnsiblePlaybooks.Doors

  func prepare(
    _ host: Host, _ playbook: PlannedPlaybook, note: @escaping @Sendable (String) -> Void,
    tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async throws(StepFailure) {
    let report: PlaybookReport
    do throws(PlaybookError) {
      note("runs \(escapedForTerminal(playbook.playbook))")
      report = try await PlannedRuns.runner(doors).run(PlannedRuns.job(playbook, [host]), tell: tell)
    } catch {
      throw StepFailure(.shared, error.message, hint: error.hint)
    }
    guard let end = report.hosts.first, !end.isGood else { return }
    let what =
      "\(escapedForTerminal(playbook.playbook)) ended as \(end.outcome.rawValue): \(end.why)"
    switch end.outcome {
    // The playbook is for other hosts of the rollout: that it is for some was seen when the plan was made.
    case .unmatched: return
    // How far it came is not known; done again it gives the result of once.
    case .lost, .unreachable: throw StepFailure(.lost, what)
    default:
      throw StepFailure(
        .host, what, hint: "correct the playbook or the host; nothing of the agent was changed")
    }
  }
}
