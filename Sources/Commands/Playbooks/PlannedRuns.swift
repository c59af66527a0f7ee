import FoundationEssentials
import Playbooks
import Ports
import RolloutModel

/// What the playbooks of a rollout have in common, whenever they are run.
enum PlannedRuns {
  /// Shorter than a lease lasts.
  static let deadline = Duration.seconds(600)

  /// The playbook with its digest, checked on this machine for these hosts. Errors: what is wrong with it.
  static func frozen(_ playbook: PlannedPlaybook, for hosts: [Host]) async throws(PlaybookError)
    -> PlannedPlaybook
  {
    var frozen = playbook
    frozen.project = PlaybookRunOptions.absolute(playbook.project)
    frozen.digest = try await runner(.ssh).inspect(job(playbook, hosts))
    return frozen
  }

  static func runner(_ doors: AnsiblePlaybooks.Doors) throws(PlaybookError) -> AnsiblePlaybooks {
    let environment = ProcessInfo.processInfo.environment
    return AnsiblePlaybooks(
      tools: try AnsibleTools.find(nil, environment: environment), doors: doors, environment: environment)
  }

  /// What an event says to people, and of which host: tasks that begin, what they changed or where they failed, and each host's
  /// end. Tasks that changed nothing are left out, so that a log of hundreds of hosts stays short.
  static func words(of event: PlaybookEvent) -> (host: String?, text: String)? {
    switch event {
    case .task(let task, let host): return (host, "runs \(task.name)")
    case .result(let result):
      switch result.outcome {
      case .ok, .skipped: return nil
      case .changed, .failed, .unreachable, .ignored:
        let why = result.message.isEmpty ? "" : ": \(result.message)"
        return (result.host, "\(result.outcome.rawValue): \(result.task.name)\(why)")
      }
    case .ended(let report):
      return (report.host, "ended as \(report.outcome.rawValue)\(report.isGood ? "" : ": \(why(report))")")
    case .door, .play: return nil
    }
  }

  /// Where and why a host's run was not good.
  static func why(_ end: PlaybookHostReport) -> String {
    [end.failedTask, end.reason].filter { !$0.isEmpty }.joined(separator: ": ")
  }

  static func job(_ playbook: PlannedPlaybook, _ hosts: [Host]) -> PlaybookJob {
    var job = PlaybookJob(
      project: playbook.project, playbook: playbook.playbook, inventory: nil, hosts: hosts, variables: [:])
    job.digest = playbook.digest
    job.deadline = deadline
    return job
  }
}
