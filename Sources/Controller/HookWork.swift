import Ports
import RolloutModel

/// Runs a wave's hook and writes what it does to the run's log.
struct HookWork: Sendable {
  let plan: Plan
  let runner: (any HookRunner)?
  let log: any RunLog
  let time: any Timekeeper

  /// Runs it to its end; `note` tells what it does now.
  func run(_ run: HookRun, hosts: [Int], note: @escaping @Sendable (String) -> Void) async -> HookOutcome {
    guard let playbook = plan.policy.hooks?[run.hook], let runner else {
      return .failed(
        reason: "nobody is there to run it", hint: "this is a fault of Switchyard: please report it")
    }
    let name = run.hook.rawValue
    return await runner.run(
      playbook, on: hosts.filter(plan.hosts.indices.contains).map { plan.hosts[$0] },
      variables: Self.variables(plan, run)
    ) { [log, time] host, text in
      log.write(RunLogLine(wall: time.wall, host: host, source: .playbook, text: "\(name) \(text)"))
      note(host.map { "\($0) \(text)" } ?? text)
    }
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
