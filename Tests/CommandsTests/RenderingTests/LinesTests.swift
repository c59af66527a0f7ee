import RolloutModel
import Testing

@testable import Commands

@Suite("Lines for a pipe, tables and plans")
struct LinesTests {
  private let clock = "2026-11-23T23:00:00Z"

  @Test("The first look tells all that has happened, waiting hosts aside")
  func firstLook() {
    var changes = ChangeLines()
    #expect(
      changes.lines(for: midway, at: noon) == [
        "\(clock) rollout running", "\(clock) wave canary done", "\(clock) wave early running",
        "\(clock) h1 promoted on 2.0.0", "\(clock) h2 restored: gate failed: status 503, expected 200",
        #"\#(clock) h2 | agent[7]: out of \u{1b}[31mmemory"#,
        "\(clock) h3 gating: 2 of 3 healthy answers, 41 s left", "\(clock) h4 soaking",
      ])
    #expect(changes.lines(for: midway, at: noon).isEmpty)
  }

  @Test("Numbers that count on are no change, other words and states are")
  func counting() {
    var changes = ChangeLines()
    _ = changes.lines(for: midway, at: noon)
    var next = midway
    next.hosts[2].reason = "1 of 3 healthy answers, 12 s left"
    #expect(changes.lines(for: next, at: noon).isEmpty)
    next.hosts[2].reason = "status 503, expected 200"
    next.hosts[3].state = .promoted
    next.hosts[3].liveVersion = "2.0.0"
    #expect(
      changes.lines(for: next, at: noon) == [
        "\(clock) h3 gating: status 503, expected 200", "\(clock) h4 promoted on 2.0.0",
      ])
    next.hosts[4].state = .preflight
    #expect(changes.lines(for: next.hosts[4], at: noon) == ["\(clock) h5 preflight"])
  }

  @Test("An end is told last, with its reason")
  func end() {
    var changes = ChangeLines()
    let halted = rollout(
      [wave("canary", .failed)], [host("h1", "canary", .failed, reason: "no disk")], state: .halted,
      reason: "1 failure in wave canary, 0 borne")
    #expect(
      changes.lines(for: halted, at: noon) == [
        "\(clock) wave canary failed", "\(clock) h1 failed: no disk",
        "\(clock) rollout halted: 1 failure in wave canary, 0 borne",
      ])
    #expect(changes.line(for: .halted, reason: halted.reason, at: noon) == nil)
  }

  @Test("Status shows waves, all hosts, and a failed unit's last lines")
  func status() {
    #expect(
      text(StatusText.status(midway, now: noon, symbols: .unicode)) == #"""
        demo 2.0.0 by policy canary: running
          rollout r1, started 2026-11-23T22:58:55Z, 1m5s
          1 promoted · 2 in flight · 1 restored · 2 pending; 1 failure, 1 borne

        WAVE    STATE    HOSTS  AT ONCE  SOAK  APPROVAL
        canary  done     1      1        30s
        early   running  3      2        30s
        rest    pending  2      2        30s   needed

        HOST  WAVE    STATE     LIVE         RETAINED  TOOK  REASON
        h1    canary  promoted  green 2.0.0  1.0.0     35s
        h2    early   restored  blue 1.0.0             2m0s  gate failed: status 503, expected 200
        h3    early   gating    blue 1.0.0                   2 of 3 healthy answers, 41 s left
        h4    early   soaking   blue 1.0.0             15s
        h5    rest    pending   blue 1.0.0
        h6    rest    pending   blue 1.0.0

        Last lines of h2:
          agent[7]: out of \u{1b}[31mmemory
        """#)
  }

  @Test("The list has a line for each rollout")
  func list() {
    #expect(text(StatusText.list([], now: noon)) == "no rollouts yet")
    #expect(
      text(StatusText.list([midway], now: noon)) == """
        ROLLOUT  AGENT  VERSION  POLICY  STATE    PROMOTED  STARTED               TOOK
        r1       demo   2.0.0    canary  running  1/6       2026-11-23T22:58:55Z  1m5s
        """)
  }

  @Test("A rollout that was planned and never begun says so, and has no start in JSON either")
  func notBegun() throws {
    var planned = rollout([wave("canary", .pending)], [host("h1", "canary", .pending)])
    planned.startedAt = nil
    #expect(
      text(StatusText.list([planned], now: noon)) == """
        ROLLOUT  AGENT  VERSION  POLICY  STATE    PROMOTED  STARTED    TOOK
        r1       demo   2.0.0    canary  running  0/1       not begun
        """)
    #expect(
      text(StatusText.status(planned, now: noon, symbols: .unicode)).contains("\n  rollout r1, not begun\n"))
    #expect(live(planned).first == "demo 2.0.0  running  policy canary  r1")
    #expect(try !Output.jsonText(planned, pretty: false).contains("started_at"))
    #expect(try Output.jsonText(midway, pretty: false).contains("\"started_at\":\(noon - 65_000)"))
  }

  @Test("A plan says what would be done to which host, and which would fail")
  func plan() throws {
    let plan = try samplePlan()
    let digest = try #require(Digest(String(repeating: "ab", count: 32)))
    func found(_ from: Side?, _ version: String?, isLive: Bool = false) -> PlanText.Finding {
      .success(
        PreflightResult(
          architecture: "x86_64", release: digest, from: from, fromVersion: version, candidate: .green,
          isLive: isLive))
    }
    let findings: [PlanText.Finding] = [
      found(.blue, "1.0.0"), found(nil, nil), found(.green, "2.0.0", isLive: true),
      .failure(StepFailure(.precondition, "disk_free 200 MB: 10 MB\u{1b}", hint: "free some")),
      found(.adopted, nil),
    ]
    #expect(
      text(PlanText(plan: plan, findings: findings, symbols: .unicode).lines()) == #"""
        demo 2.0.0 by policy canary: 5 hosts in 2 waves
          archive  demo.tar.gz, 13.5 MB, any architecture
                   sha256 abababababababababababababababababababababababababababababababab
          traffic  nftables on port 8400; blue 7001, green 7002; drain 30s
          gate     3 healthy answers in a row to GET /health, every 1s, within 2s each and 2m in all
          budget   failures borne: 0 in the canary, 2% of a wave, 1 of the fleet, one more rolls all hosts back; 2 unreachable, one more halts the rollout
          canary   once passed, a release that fails on more than 95% of hosts is excluded (95% sure); one that fails on 50% passes every second time
          undo     a host reverts by itself after 2m unconfirmed; the old slot runs for 1h and stays installed for 7d after the rollout

        wave 1 canary: 1 host, 1 at once, soak 30s
         ●  h1  blue 1.0.0  → green 2.0.0  stage, start, gate, flip, soak 30s, promote

        wave 2 rest: 4 hosts, 2 at once, soak 0s, after approval
         ●  h2  nothing                    → green 2.0.0  first install: stage, start, gate, flip, promote
         ✔  h3  green 2.0.0                               nothing to do: this release is live
         ✘  h4                                            would fail: disk_free 200 MB: 10 MB\u{1b}; free some
         ●  h5  adopted (version unknown)  → green 2.0.0  stage, start, gate, flip, promote

        3 hosts would be upgraded, 1 is live already, 1 would fail
        """#)
  }

  @Test("Where a breach halts, it does so for hosts that can't be reached as well")
  func haltingBudget() throws {
    var plan = try samplePlan()
    plan.policy.onBreach = .halt
    let lines = text(PlanText(plan: plan, findings: [], symbols: .ascii).lines())
    #expect(
      lines.contains(
        "  budget   failures borne: 0 in the canary, 2% of a wave, 1 of the fleet, 2 unreachable; one more halts the rollout\n"
      ))
    #expect(!lines.contains("rolls all hosts back"))
  }

  @Test(
    "A log's line for an order says who gave it, what it does, and to which hosts",
    arguments: [
      (Order.Verb.pause, "pauses"), (.resume, "resumes"), (.approve, "approves"), (.abort, "aborts"),
      (.rollback, "rolls back"), (.skip([1]), "skips h2"), (.retry([0, 4]), "retries h1, h5"),
      (.skip([7]), "skips the host at place 7"),
    ])
  func orders(verb: Order.Verb, words: String) throws {
    let line = LogLine(try samplePlan())
    #expect(line.words(of: .order(Order(verb, reason: "off", by: "root@vm"))).text == "root@vm \(words): off")
    #expect(line.words(of: .order(Order(verb, reason: "", by: "root@vm"))).text == "root@vm \(words)")
  }

  @Test("A plan shows the hooks and what they were frozen as")
  func hooks() throws {
    var plan = try samplePlan()
    let digest = try #require(Digest(String(repeating: "0123456789abcdef", count: 4)))
    plan.policy.hooks = WaveHooks(
      beforeWave: PlannedPlaybook(project: "/srv", playbook: "checks.yml", digest: digest),
      afterWave: PlannedPlaybook(project: "/srv", playbook: "verify.yml", digest: digest))
    let lines = text(PlanText(plan: plan, findings: [], symbols: .ascii).lines())
    #expect(
      lines.contains(
        """
          hooks    before_wave: checks.yml, project sha256 0123456789ab
                   after_wave: verify.yml, project sha256 0123456789ab
        """))
  }

  @Test("A hook is told once when it begins, and once what it came to")
  func hookLines() {
    var lines = ChangeLines()
    let hook = HookSnapshot(hook: .beforeWave, playbook: "checks.yml", hosts: 2, since: noon)
    let begun = "2026-11-23T23:00:00Z wave rest waits: before_wave checks.yml on 2 hosts"
    #expect(lines.lines(for: hook, nil, of: "rest", at: noon) == [begun])
    #expect(lines.lines(for: hook, nil, of: "rest", at: noon + 1000) == [])
    #expect(
      lines.lines(for: hook, .passed, of: "rest", at: noon + 12_000)
        == ["2026-11-23T23:00:12Z wave rest: before_wave checks.yml passed, 12s"])
    var watched = ChangeLines()
    var waiting = midway
    waiting.waves[2].hook = hook
    #expect(watched.lines(for: waiting, at: noon).contains(begun))
  }

  @Test("A status names the hooks, and the one that a wave waits for")
  func hookStatus() {
    var waiting = midway
    waiting.hooks = ["before_wave": "checks.yml", "after_wave": "verify.yml"]
    waiting.waves[2].hook = HookSnapshot(
      hook: .beforeWave, playbook: "checks.yml", hosts: 2, since: noon - 12_000)
    let lines = text(StatusText.status(waiting, now: noon, symbols: .ascii))
    #expect(lines.contains("  hooks: before_wave checks.yml, after_wave verify.yml\n"))
    #expect(lines.contains("pending, waits: before_wave checks.yml, 12s"))
  }

  @Test("A plan made offline says that the hosts were not asked")
  func offlinePlan() throws {
    let lines = text(PlanText(plan: try samplePlan(), findings: [], symbols: .ascii).lines())
    #expect(lines.contains("  note     the hosts were not asked"))
    #expect(lines.contains("\n -  h4\n"))
    #expect(lines.hasSuffix("5 hosts, none asked"))
  }

  private func samplePlan() throws -> Plan {
    let digest = try #require(Digest(String(repeating: "ab", count: 32)))
    let agent = AgentDefinition(
      name: try #require(AgentName("demo")), user: "root", strip: 0, exec: "bin/agent", args: [],
      environment: [], slots: SlotPorts(blue: 7001, green: 7002), publicPort: 8400, traffic: .nftables,
      drain: .seconds(30), concurrent: true, unitTemplate: nil, adopt: nil,
      health: [ProbeDefinition(question: .http(path: "/health"))], dependencies: [])
    let policy = Policy(
      name: "canary", waves: [],
      gate: Gate(
        successes: 3, interval: .seconds(1), timeout: .seconds(2), deadline: .seconds(120)),
      budget: Budget(
        canary: .count(0), wave: .share(basisPoints: 200), fleet: .share(basisPoints: 2000),
        unreachable: .count(2)),
      onBreach: .rollback, confirmWithin: .seconds(120),
      keepOld: Retention(running: .seconds(3600), installed: .seconds(7 * 86_400)), partial: false,
      soakTolerance: 1)
    return Plan(
      id: "r1", agent: agent, policy: policy,
      release: Release(
        version: try #require(Version("2.0.0")),
        archives: [ReleaseArchive(architecture: "", path: "demo.tar.gz", digest: digest, bytes: 13_540_000)]),
      hosts: (1...5).map { Host(name: "h\($0)", address: "h\($0)") },
      waves: [
        PlannedWave(name: "canary", first: 0, count: 1, batch: 1, soak: .seconds(30), approve: false),
        PlannedWave(name: "rest", first: 1, count: 4, batch: 2, soak: .zero, approve: true),
      ], acceptLocalProbes: false, again: nil, takeOver: nil, owner: "ops@control")
  }
}
