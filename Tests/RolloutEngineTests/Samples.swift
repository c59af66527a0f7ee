import RolloutModel
import Testing

@testable import RolloutEngine

/// A wave of a sample policy.
func wave(
  _ hosts: Amount, batch: Amount = .share(basisPoints: 10_000), approve: Bool = false,
  soak: Span = .seconds(30)
) -> WaveDefinition {
  WaveDefinition(name: "w\(hosts)", hosts: hosts, batch: batch, soak: soak, approve: approve)
}

let everybody = Amount.share(basisPoints: 10_000)

let unlimited = Budget(canary: .count(999), wave: .count(999), fleet: .count(999), unreachable: .count(999))

func makePolicy(
  _ waves: [WaveDefinition], budget: Budget = unlimited, onBreach: BreachAction = .rollback
) -> Policy {
  Policy(
    name: "sample", waves: waves,
    gate: Gate(successes: 3, interval: .seconds(1), timeout: .seconds(2), deadline: .seconds(60)),
    budget: budget, onBreach: onBreach, confirmWithin: .seconds(120),
    keepOld: Retention(running: .seconds(60), installed: .seconds(60)), partial: false, soakTolerance: 0)
}

func makePlan(_ count: Int, _ policy: Policy, again: String? = nil) throws -> Plan {
  let agent = AgentDefinition(
    name: try #require(AgentName("demo")), user: "root", strip: 0, exec: "bin/agent", args: [],
    environment: [],
    slots: SlotPorts(blue: 7001, green: 7002), publicPort: 8400, traffic: .nftables, drain: .seconds(30),
    concurrent: true, unitTemplate: nil, adopt: nil, health: [ProbeDefinition(question: .tcp)],
    dependencies: [])
  return Plan(
    id: "r-1", agent: agent, policy: policy,
    release: Release(version: try #require(Version("2.0.0")), archives: []),
    hosts: (0..<count).map { Host(name: "h\($0)", address: "h\($0)") },
    waves: PlannedWave.waves(of: policy, total: count), acceptLocalProbes: false, again: again, takeOver: nil,
    owner: "somebody@somewhere")
}

/// What a sound host answers to a preflight.
func clear(isLive: Bool = false) throws -> PreflightResult {
  PreflightResult(
    architecture: "x86_64", release: try #require(Digest(String(repeating: "ab", count: 32))), from: .blue,
    fromVersion: "1.0.0", candidate: .green, isLive: isLive)
}

/// Hooks that are what they are called.
func makeHooks(before: Bool = true, after: Bool = true) -> WaveHooks {
  WaveHooks(
    beforeWave: before ? PlannedPlaybook(project: "/plays", playbook: "checks.yml", digest: nil) : nil,
    afterWave: after ? PlannedPlaybook(project: "/plays", playbook: "verify.yml", digest: nil) : nil)
}

/// A hook that was asked for.
struct HookCall: Equatable {
  var run: HookRun
  var hosts: [Int]
}

/// An engine on a bench: it is fed by hand, and its effects are kept.
struct Bench {
  var engine: RolloutEngine
  var now: Int64 = 1_000_000
  /// The step under way on each host, as the effects asked for it.
  var steps: [Int: HostStep] = [:]
  /// Its attempt.
  var attempts: [Int: Int] = [:]
  /// The delay that it was asked for with.
  var delays: [Int: Span] = [:]
  /// Hosts whose step was asked to end early by the last event.
  var cancelled: [Int] = []
  /// States that the last event came to rest in.
  var rests: [RolloutState] = []
  /// Hooks that were asked for so far.
  var hooks: [HookCall] = []
  /// Hooks that the last event asked to end early.
  var cancelledHooks: [HookRun] = []

  init(_ count: Int, _ policy: Policy, again: String? = nil) throws {
    engine = RolloutEngine(plan: try makePlan(count, policy, again: again))
  }

  /// A rollout of one wave over all hosts that has started.
  static func started(_ count: Int = 1, budget: Budget = unlimited, onBreach: BreachAction = .rollback) throws
    -> Bench
  {
    var bench = try Bench(count, makePolicy([wave(everybody)], budget: budget, onBreach: onBreach))
    bench.send(.started)
    return bench
  }

  @discardableResult
  mutating func send(_ event: RolloutEvent) -> [RolloutEffect] {
    now += 1000
    let effects = engine.handle(
      StampedEvent(event, at: Moment(milliseconds: now), wall: now, chance: UInt64(now) &* 0x9e37_79b9))
    if case .step(let host, let attempt, _) = event, attempts[host] == attempt { steps[host] = nil }
    cancelled = []
    cancelledHooks = []
    rests = []
    for effect in effects {
      switch effect {
      case .perform(let host, let attempt, let step, _, let delay):
        steps[host] = step
        attempts[host] = attempt
        delays[host] = delay
      case .cancel(let host): cancelled.append(host)
      case .runHook(let run, let chosen): hooks.append(HookCall(run: run, hosts: chosen))
      case .cancelHook(let run): cancelledHooks.append(run)
      case .rest(let state): rests.append(state)
      }
    }
    return effects
  }

  /// The host's step came to this.
  @discardableResult
  mutating func finish(_ host: Int, _ outcome: StepOutcome) -> [RolloutEffect] {
    send(.step(host: host, attempt: attempts[host] ?? -1, outcome))
  }

  mutating func fail(_ host: Int, _ kind: StepFailure.Kind) {
    finish(host, .failed(StepFailure(kind, "\(kind) here")))
  }

  /// The hook that was asked for last came to this.
  mutating func finishHook(_ outcome: HookOutcome = .passed) throws {
    send(.hook(try #require(hooks.last).run, outcome))
  }

  /// The host's connection is lost, and is still lost when patience with it ends.
  mutating func lose(_ host: Int) {
    fail(host, .lost)
    now += RolloutEngine.longestSilence.milliseconds
    fail(host, .lost)
  }

  mutating func order(_ verb: Order.Verb) { send(.order(Order(verb, reason: "because", by: "somebody"))) }

  /// The host's step comes out well.
  mutating func succeed(_ host: Int) throws { finish(host, try success(of: try #require(steps[host]))) }

  /// The host's steps come out well until one that is named `word` is under way.
  mutating func bring(_ host: Int, to word: String) throws {
    for _ in 0..<12 where steps[host]?.word != word { try succeed(host) }
    try #require(steps[host]?.word == word)
  }

  /// The host's steps come out well until it has none.
  mutating func promote(_ host: Int) throws {
    for _ in 0..<12 where steps[host] != nil && steps[host] != .retain { try succeed(host) }
    try #require(phase(host) == .promoted)
  }

  func success(of step: HostStep) throws -> StepOutcome {
    switch step {
    case .preflight: .cleared(try clear())
    case .stage: .staged
    case .start: .started(bootID: "boot", invocation: "invocation")
    case .gate: .gatePassed(Moment(milliseconds: now))
    case .flip: .flipped
    case .prove: .proven
    case .confirm: .confirmed
    case .soak: .soaked(samples: 30)
    case .promote: .promoted
    case .restore: .restored
    case .reconcile: .standing(.untouched)
    case .retain: .retained
    }
  }

  func phase(_ host: Int) -> HostPhase { engine.phase(of: host) }

  func reason(_ host: Int) -> String { engine.hostSnapshot(host).reason }

  var state: RolloutState { engine.state }

  /// Hosts with a step under way, in order.
  var busy: [Int] { steps.keys.sorted() }
}
