import Playbooks
import Ports
import RolloutModel

/// Runs a policy's hooks: on all hosts at once, as `switchyard playbook run` does.
struct PlaybookHooks: HookRunner {
  let doors: AnsiblePlaybooks.Doors

  func run(
    _ playbook: PlannedPlaybook, on hosts: [Host], variables: [String: PlaybookValue],
    tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async -> HookOutcome {
    var job = PlannedRuns.job(playbook, hosts)
    job.variables = variables
    // Whoever is in a group of as many as there are forks has as long as a host that is prepared.
    job.deadline = PlannedRuns.deadline * ((hosts.count + job.forks - 1) / job.forks)
    let report: PlaybookReport
    do throws(PlaybookError) {
      report = try await PlannedRuns.runner(doors).run(job, tell: tell)
    } catch {
      return Task.isCancelled ? .cancelled : .failed(reason: error.message, hint: error.hint)
    }
    return Task.isCancelled ? .cancelled : Self.outcome(of: report, within: job.deadline)
  }

  static func outcome(of report: PlaybookReport, within deadline: Duration) -> HookOutcome {
    // A playbook may be for other hosts of the rollout: that it is for some was seen when the plan was made.
    let bad = report.hosts.filter { !$0.isGood && $0.outcome != .unmatched }
    guard let first = bad.first else { return .passed }
    var reason =
      "\(escapedForTerminal(first.host)) ended as \(first.outcome.rawValue): \(first.why)"
    if report.isLate { reason = "not done after \(deadline.components.seconds / 60) minutes: " + reason }
    if bad.count > 1 { reason += "; so it is on \(Words.count(bad.count - 1, "more host"))" }
    return .failed(
      reason: reason, hint: "mend the host or the playbook's cause, then resume: it is run again")
  }
}
