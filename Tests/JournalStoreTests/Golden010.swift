import RolloutModel
import Testing

/// What stands in the golden journal of version 0.1.0: four rollouts with every kind of entry.
enum Golden010 {
  /// Rollouts in the order in which they were created. Record n of a rollout was appended n seconds after `start`.
  static func rollouts() throws -> [(id: String, entries: [JournalEntry])] {
    [
      ("everything-1", try [.plan(full())] + happenings() + intents() + [ahead]),
      ("command-2", [.plan(try plan("command-2", traffic: .command(argv: ["/usr/bin/move", "--agent"])))]),
      ("none-3", [.plan(try plan("none-3", traffic: .none))]),
      try hooked(),
    ]
  }

  /// What a host says that has gone further than the journal.
  private static let ahead = JournalEntry.event(
    StampedEvent(
      .step(host: 0, attempt: 0, .standing(.ahead(flip: "everything-1-0-3", tries: 3, isOver: true))),
      at: Moment(milliseconds: 0), wall: start, chance: 0))

  /// 2026-11-23T23:00:00Z.
  static let start: Int64 = 1_795_474_800_000

  private static let digest = String(repeating: "0123456789abcdef", count: 4)

  // MARK: Plans

  /// A plan with as little as can be.
  private static func plan(_ id: String, traffic: TrafficDriver) throws -> Plan {
    var plan = try makePlan(id, hosts: 2)
    plan.agent.traffic = traffic
    return plan
  }

  /// A plan with all that can be.
  private static func full() throws -> Plan {
    var agent = AgentDefinition(
      name: try #require(AgentName("demo")), user: "agent", strip: 1, exec: "bin/agent",
      args: ["--port", "{{ port }}"],
      environment: [EnvironmentVariable(name: "MOTTO", value: "grüße \"{{ host }}\"\n")],
      slots: SlotPorts(blue: 7001, green: 7002), publicPort: 8400, traffic: .nftables, drain: .seconds(30),
      concurrent: true, unitTemplate: "[Service]\nExecStart=x\n",
      adopt: Adoption(unit: "old-agent.service", port: 8400), health: [], dependencies: [],
      floor: Version("1.4.2"))
    agent.health = [
      ProbeDefinition(
        question: .http(path: "/health"), port: 7100,
        expect: Expectation(
          status: 204,
          json: [
            JSONField(path: "version", value: .text("{{ version }}")),
            JSONField(path: "load.0", value: .number(2.5)),
            JSONField(path: "ready", value: .flag(true)), JSONField(path: "error", value: .null),
          ],
          body: "ok", bodyMatches: "o.", headers: [HeaderField(name: "Server", value: "agent/1")])),
      ProbeDefinition(question: .https(path: "/", verify: false)), ProbeDefinition(question: .tcp),
    ]
    agent.dependencies = [
      .command(argv: ["python3", "--version"], version: VersionBound(">=3.9,<4,!=3.10")),
      .diskFree(bytes: 200_000_000), .memoryFree(bytes: 1), .portFree(9000),
      .tcp(host: "127.0.0.1", port: 22),
      .http(url: "http://127.0.0.1/", status: 200), .file(path: "/etc/hosts"),
      .pythonModule(
        name: "yaml", interpreter: "python3", version: VersionBound("<=6,>5,==5.4")),
    ]
    let policy = Policy(
      name: "canary",
      waves: [
        WaveDefinition(
          name: "canary", hosts: .count(1), batch: .share(basisPoints: 1000), soak: .seconds(30),
          approve: false),
        WaveDefinition(
          name: "rest", hosts: .share(basisPoints: 10_000), batch: .count(5), soak: .zero, approve: true),
      ],
      gate: Gate(successes: 3, interval: .seconds(1), timeout: .seconds(2), deadline: .seconds(120)),
      budget: Budget(
        canary: .count(0), wave: .share(basisPoints: 250), fleet: .share(basisPoints: 500),
        unreachable: .count(1)),
      onBreach: .rollback, confirmWithin: .seconds(120),
      keepOld: Retention(running: .seconds(3600), installed: .seconds(86_400)), partial: true,
      soakTolerance: 2)
    return Plan(
      id: "everything-1", agent: agent, policy: policy,
      release: Release(
        version: try #require(Version("2.0.0-rc.1+x86")),
        archives: [
          ReleaseArchive(
            architecture: "x86_64", path: "/srv/agent.tar.gz", digest: try #require(Digest(digest)),
            bytes: 4711)
        ]),
      hosts: [
        Host(
          name: "h1.example", address: "10.0.0.1", port: 2222, user: "ops", identityFile: "/home/ops/.ssh/id",
          knownHostsFiles: ["/etc/ssh/known"], proxyJump: "jump@bastion:22", domain: "rack-1",
          groups: ["all", "web"]), Host(name: "h2", address: "h2"),
      ],
      waves: PlannedWave.waves(of: policy, total: 2), acceptLocalProbes: true, again: "the disk was full",
      takeOver: "the other controller is dead", owner: "ops@desk")
  }

  // MARK: Events

  private static func happenings() throws -> [JournalEntry] {
    let outcomes: [StepOutcome] =
      [
        .cleared(
          PreflightResult(
            architecture: "x86_64", release: try #require(Digest(digest)), from: .adopted, fromVersion: nil,
            candidate: .green, isLive: false)),
        .cleared(
          PreflightResult(
            architecture: "aarch64", release: try #require(Digest(digest)), from: .green,
            fromVersion: "1.0.0",
            candidate: .blue, isLive: true)),
        .staged, .started(bootID: "boot", invocation: "unit"), .gatePassed(Moment(milliseconds: 1234)),
        .flipped,
        .proven, .confirmed, .soaked(samples: 30), .promoted, .restored, .retained, .cancelled,
      ] + standings.map { .standing($0) } + failures.map { .failed($0) } + [
        .standing(.undoneByOrder(reason: "rolled back elsewhere"))
      ]
    let events: [RolloutEvent] =
      [.started, .resumed(controller: "6f9619ff-8b86-d011-b42d-00c04fc964ff")]
      + verbs.map { .order(Order($0, reason: "because", by: "ops@desk")) }
      + outcomes.enumerated().map { .step(host: $0.offset % 2, attempt: $0.offset, $0.element) }
    return events.enumerated().map { number, event in
      .event(
        StampedEvent(
          event, at: Moment(milliseconds: Int64(number)), wall: start + Int64(number),
          chance: UInt64.max - UInt64(number)))
    }
  }

  private static let verbs: [Order.Verb] = [
    .pause, .resume, .approve, .abort, .rollback, .skip([0, 1]), .retry([1]),
  ]

  private static let standings: [HostStanding] = [
    .untouched, .candidateRuns(bootID: "boot", invocation: "unit"), .armed,
    .confirmed(bootID: "boot", invocation: "unit"), .promoted,
    .undone(unconfirmed: true, reason: "no confirm"),
    .quarantined(reason: "the old side does not answer"),
  ]

  private static let failures: [StepFailure] = [
    StepFailure(.unreachable, "connection refused"), StepFailure(.lost, "connection reset"),
    StepFailure(.changed, "another owner"),
    StepFailure(.host, "the unit failed", hint: "see its log", lastLines: ["panic: \\u{1b}[31m", "exit 3"]),
    StepFailure(.gate, "status 503, expected 200"), StepFailure(.precondition, "python3 is 3.8"),
    StepFailure(.undone, "no confirm"), StepFailure(.quarantined, "the old side does not answer"),
    StepFailure(.leaseLost, "taken over"), StepFailure(.overruled, "another controller"),
    StepFailure(.busy, "draining"), StepFailure(.shared, "the archive can't be read"),
  ]

  // MARK: Intents

  private static func intents() throws -> [JournalEntry] {
    var knowledge = HostKnowledge(flip: "everything-1/h2/1")
    let ignorant = knowledge
    knowledge.architecture = "x86_64"
    knowledge.release = Digest(digest)
    knowledge.from = .blue
    knowledge.fromVersion = "1.0.0"
    knowledge.candidate = .green
    knowledge.bootID = "boot"
    knowledge.invocation = "unit"
    knowledge.again = true
    knowledge.isPromoted = true
    let steps: [HostStep] = [
      .stage(again: true), .start, .gate, .flip(gatePassed: Moment(milliseconds: 1234)), .prove, .confirm,
      .soak(.seconds(30)), .promote, .restore(refuse: true, reason: "the gate failed"), .reconcile, .retain,
    ]
    let states: [RolloutState] = [
      .running, .paused, .awaitingApproval, .promoted, .promotedWithExceptions, .rollingBack, .rolledBack,
      .rollbackIncomplete, .halted, .aborted,
    ]
    let effects: [RolloutEffect] =
      [.perform(host: 0, attempt: 1, .preflight, ignorant, delay: .zero), .cancel(host: 1)]
      + steps.map { .perform(host: 1, attempt: 2, $0, knowledge, delay: Span(milliseconds: 250)) }
      + states.map { .rest($0) }
    return effects.map { .intent($0) }
  }
}
