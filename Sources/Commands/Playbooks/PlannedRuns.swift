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

  static func job(_ playbook: PlannedPlaybook, _ hosts: [Host]) -> PlaybookJob {
    var job = PlaybookJob(
      project: playbook.project, playbook: playbook.playbook, inventory: nil, hosts: hosts, variables: [:])
    job.digest = playbook.digest
    job.deadline = deadline
    return job
  }
}
