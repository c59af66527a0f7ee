import RolloutModel
import Testing

/// The fourth rollout: its agent is a container that is reached through its RPC and has a playbook, and its waves have hooks.
extension Golden010 {
  static func hooked() throws -> (id: String, entries: [JournalEntry]) {
    ("hooks-4", [.plan(try hookedPlan())] + hookHappenings + hookIntents + hookNews)
  }

  private static func hookedPlan() throws -> Plan {
    func playbook(_ name: String, _ digit: String) -> PlannedPlaybook {
      PlannedPlaybook(
        project: "/srv/plays", playbook: name,
        digest: Digest(String(repeating: digit, count: 64)))
    }
    var plan = try makePlan("hooks-4", hosts: 2)
    let image = try #require(
      ImageReference("registry.example/agent@sha256:" + String(repeating: "d", count: 64)))
    plan.agent.exec = ""
    plan.agent.container = ContainerDefinition(
      image: image,
      volumes: [
        ContainerVolume(source: "/var/lib/demo", target: "/data", readOnly: false),
        ContainerVolume(source: "/etc/demo", target: "/etc/demo", readOnly: true),
      ], readOnly: true, memory: 268_435_456)
    plan.release.archives = [ReleaseArchive(image: image)]
    plan.agent.rpc = RPCDoorChoice(
      fallsBack: true, port: 8443, authority: "/etc/certs/authority.pem", certificate: "/etc/certs/own.pem",
      key: "/etc/certs/own.key", token: "/etc/certs/token")
    plan.agent.prepare = playbook("prepare.yml", "a")
    plan.policy.hooks = WaveHooks(
      beforeWave: playbook("checks.yml", "b"), afterWave: playbook("sub/verify.yml", "c"))
    return plan
  }

  private static let before = HookRun(.beforeWave, wave: 0, number: 1)
  private static let after = HookRun(.afterWave, wave: 1, number: 2)

  private static var hookHappenings: [JournalEntry] {
    let outcomes: [HookOutcome] = [
      .passed, .failed(reason: "h1 ended as failed: Check: no \"space\"", hint: "mend it"), .cancelled,
    ]
    return outcomes.enumerated().map { number, outcome in
      .event(
        StampedEvent(
          .hook(number == 0 ? before : after, outcome), at: Moment(milliseconds: Int64(number)),
          wall: start + Int64(number), chance: UInt64(number)))
    }
  }

  private static var hookIntents: [JournalEntry] {
    [
      .intent(.runHook(before, hosts: [0, 1])), .intent(.runHook(after, hosts: [1])),
      .intent(.cancelHook(after)),
    ]
  }

  private static var hookNews: [JournalEntry] {
    func counts() -> PlaybookCounts {
      var counts = PlaybookCounts()
      (counts.ok, counts.changed, counts.skipped, counts.failed) = (7, 3, 2, 1)
      (counts.unreachable, counts.rescued, counts.ignored) = (0, 4, 5)
      return counts
    }
    let task = PlaybookTask(name: "Look at the \u{e4}gent", play: "Checks")
    let rpc = PlaybookDoorChoice(.rpc, why: "the agent of h1")
    let results: [PlaybookTaskResult.Outcome] = [
      .ok, .changed, .skipped, .failed, .unreachable, .ignored,
    ]
    let ends: [PlaybookHostReport.Outcome] = [
      .ok, .changed, .skipped, .failed, .unreachable, .unmatched, .lost,
    ]
    var events: [PlaybookEvent] = [
      .door(host: "h1", rpc), .door(host: "h2", PlaybookDoorChoice(.ssh, why: "as asked")),
      .play("Checks"), .task(task, host: nil), .task(task, host: "h2"),
    ]
    events += results.map {
      .result(PlaybookTaskResult(host: "h1", task: task, outcome: $0, message: "no \"space\""))
    }
    events += ends.map { outcome in
      var report = PlaybookHostReport(
        host: "h1", outcome: outcome, counts: counts(), door: rpc, failedTask: "Check", reason: "why")
      report.told = ["version": "1.2.3", "a": "b"]
      (report.sentBytes, report.sentProject) = (1_234_567, true)
      return .ended(report)
    }
    return [
      .playbook(PlaybookNews(.prepare, host: 1, events[1])),
      .playbook(PlaybookNews(.hook(before), host: nil, events[2])),
    ] + events.map { .playbook(PlaybookNews(.hook(after), host: 0, $0)) }
  }
}
