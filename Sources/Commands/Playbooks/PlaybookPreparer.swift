import FoundationEssentials
import Playbooks
import Ports
import RolloutModel

/// Prepares hosts of a rollout with the agent file's playbook.
struct PlaybookPreparer: HostPreparer {
  let doors: AnsiblePlaybooks.Doors

  /// Shorter than a lease lasts.
  private static let deadline = Duration.seconds(600)

  func prepare(
    _ host: Host, _ playbook: PreparePlaybook, note: @escaping @Sendable (String) -> Void
  ) async throws(StepFailure) {
    let report: PlaybookReport
    do throws(PlaybookError) {
      report = try await Self.runner(doors).run(Self.job(playbook, [host])) { event in
        if case .task(let task, _) = event {
          note("runs \(escapedForTerminal(playbook.playbook)): \(task.name)")
        }
      }
    } catch {
      throw StepFailure(.shared, error.message, hint: error.hint)
    }
    guard let end = report.hosts.first, !end.isGood else { return }
    let why = [end.failedTask, end.reason].filter { !$0.isEmpty }.joined(separator: ": ")
    let what = "\(escapedForTerminal(playbook.playbook)) ended as \(end.outcome.rawValue): \(why)"
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

  /// The playbook with its digest, checked on this machine for these hosts. Errors: what is wrong with it.
  static func frozen(_ playbook: PreparePlaybook, for hosts: [Host]) async throws(PlaybookError)
    -> PreparePlaybook
  {
    var frozen = playbook
    frozen.project = PlaybookRunOptions.absolute(playbook.project)
    frozen.digest = try await runner(.ssh).inspect(job(playbook, hosts))
    return frozen
  }

  private static func runner(_ doors: AnsiblePlaybooks.Doors) throws(PlaybookError) -> AnsiblePlaybooks {
    let environment = ProcessInfo.processInfo.environment
    return AnsiblePlaybooks(
      tools: try AnsibleTools.find(nil, environment: environment), doors: doors, environment: environment)
  }

  private static func job(_ playbook: PreparePlaybook, _ hosts: [Host]) -> PlaybookJob {
    var job = PlaybookJob(
      project: playbook.project, playbook: playbook.playbook, inventory: nil, hosts: hosts, variables: [:])
    job.digest = playbook.digest
    job.deadline = deadline
    return job
  }
}
