import Ports
import RolloutModel

/// Runs a wave's hook.
struct HookWork: Sendable {
  let plan: Plan
  let runner: (any HookRunner)?

  /// Runs it to its end and tells what it does.
  func run(
    _ run: HookRun, hosts: [Int], tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async -> HookOutcome {
    guard let playbook = plan.policy.hooks?[run.hook], let runner else {
      return .failed(
        reason: "nobody is there to run it", hint: "this is a fault of Switchyard: please report it")
    }
    return await runner.run(
      playbook, on: hosts.filter(plan.hosts.indices.contains).map { plan.hosts[$0] },
      variables: Self.variables(plan, run), tell: tell)
  }

  /// What a hook is told of the rollout.
  static func variables(_ plan: Plan, _ run: HookRun) -> [String: PlaybookValue] {
    [
      "switchyard_rollout": .text(plan.id),
      "switchyard_wave": .integer(Int64(run.wave) + 1),
      "switchyard_version": .text(plan.release.version.text),
      "switchyard_agent": .text(plan.agent.name.text),
    ]
  }
}
