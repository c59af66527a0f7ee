import RolloutModel
import Testing

/// What stands in the golden journal of version 0.2.0: a rollout whose agent has a playbook, and whose waves have hooks.
enum Golden020 {
  static func rollouts() throws -> [(id: String, entries: [JournalEntry])] {
    [("hooks-1", [.plan(try plan())] + happenings + intents)]
  }

  private static func plan() throws -> Plan {
    func playbook(_ name: String, _ digit: String) -> PlannedPlaybook {
      PlannedPlaybook(
        project: "/srv/plays", playbook: name,
        digest: Digest(String(repeating: digit, count: 64)))
    }
    var plan = try makePlan("hooks-1", hosts: 2)
    plan.agent.prepare = playbook("prepare.yml", "a")
    plan.policy.hooks = WaveHooks(
      beforeWave: playbook("checks.yml", "b"), afterWave: playbook("sub/verify.yml", "c"))
    return plan
  }

  private static let before = HookRun(.beforeWave, wave: 0, number: 1)
  private static let after = HookRun(.afterWave, wave: 1, number: 2)

  private static var happenings: [JournalEntry] {
    let outcomes: [HookOutcome] = [
      .passed, .failed(reason: "h1 ended as failed: Check: no \"space\"", hint: "mend it"), .cancelled,
    ]
    return outcomes.enumerated().map { number, outcome in
      .event(
        StampedEvent(
          .hook(number == 0 ? before : after, outcome), at: Moment(milliseconds: Int64(number)),
          wall: Golden010.start + Int64(number), chance: UInt64(number)))
    }
  }

  private static var intents: [JournalEntry] {
    [
      .intent(.runHook(before, hosts: [0, 1])), .intent(.runHook(after, hosts: [1])),
      .intent(.cancelHook(after)),
    ]
  }
}
