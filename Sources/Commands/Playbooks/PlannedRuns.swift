import FoundationEssentials
import Playbooks
import Ports
import RolloutModel

/// What the playbooks of a rollout have in common, whenever they are run.
enum PlannedRuns {
  /// Shorter than a lease lasts.
  static let deadline = Duration.seconds(600)

  /// Gives all playbooks that a rollout is to run their digests, checked on this machine for these hosts. The policy's `prepare` takes the
  /// place of the agent's. Errors: what is wrong with one, naming the file that names it.
  static func freeze(
    _ agent: inout AgentDefinition, of agentFile: String, _ policy: inout Policy, of policyFile: String,
    for hosts: [Host]
  ) async throws {
    if let playbook = policy.prepare {
      let frozen = try await frozen(playbook, "\(policyFile): prepare", for: hosts)
      (policy.prepare, agent.prepare) = (frozen, frozen)
    } else if let playbook = agent.prepare {
      agent.prepare = try await frozen(playbook, "\(agentFile): prepare", for: hosts)
    }
    guard let hooks = policy.hooks else { return }
    for hook in WaveHook.allCases {
      guard let playbook = hooks[hook] else { continue }
      policy.hooks?[hook] = try await frozen(
        playbook, "\(policyFile): hooks: \(hook.rawValue)", for: hosts)
    }
  }

  private static func frozen(
    _ playbook: PlannedPlaybook, _ place: String, for hosts: [Host]
  ) async throws -> PlannedPlaybook {
    var frozen = playbook
    frozen.project = PlaybookRunOptions.absolute(playbook.project)
    do throws(PlaybookError) { frozen.digest = try await runner(.ssh).inspect(job(playbook, hosts)) } catch {
      let message = "\(place): \(error.description)"
      throw error.kind == .invalid ? CommandError.invalid(message) : CommandError.tool(message)
    }
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
