import ControllerMachine
import HostMachine
import HostSteps
import RolloutEngine
import RolloutModel

/// One rollout through a simulated world, from one seed.
public struct Simulation {
  /// What came of it.
  public struct Report: Sendable {
    /// The seed.
    public var seed: UInt64
    /// The rollout's last state.
    public var state: RolloutState
    /// The promises that were broken.
    public var breaches: [Breach]
    /// Virtual time that passed.
    public var milliseconds: Int64
    /// Hosts.
    public var hosts: Int
    /// The kinds of faults that could strike.
    public var faults: [Faults.Kind]
    /// What happened, line by line; empty unless it was asked for.
    public var trace: [String]
    /// How each host stood at the end, and how often its traffic was moved.
    public var ends: [String]
    /// Commits that the controllers began.
    public var commits: Int
    /// Virtual time from the rollout's start to its end.
    public var length: Int64
    /// Hosts whose clients got the new version.
    public var exposed: Int
    /// Virtual time from the first client of a host that the release is bad on to the first failure that was seen of one; nil
    /// where no client met one.
    public var detectedAfter: Int64?
  }

  /// What a simulation is to be.
  public struct Options: Sendable {
    /// Bugs between the machines and the world.
    public var bugs: Set<PlantedBug> = []
    /// Whether a trace is kept.
    public var isTraced = false
    /// What goes wrong by chance; nil: what the seed says.
    public var faults: Faults?
    /// Kinds of faults that are left out of what the seed says.
    public var without: Set<Faults.Kind> = []
    /// Whether only one host is upgraded at a time, and the release is what it is at once: then the end does not depend
    /// on how long anything takes.
    public var isPlain = false
    /// Where the controller is killed, once.
    public var killPoint: KillPoint?

    /// The seed decides, and nothing is planted.
    public init() {}
  }

  /// A moment in the life of a commit.
  public struct KillPoint: Hashable, Sendable, CustomStringConvertible {
    /// Which moment.
    public enum Moment: String, CaseIterable, Sendable {
      case beforeItIsDurable, beforeItIsActedOn, afterItsEffectsBegan
    }

    /// The commit's number, from 0.
    public var commit: Int
    /// When in its life.
    public var moment: Moment

    /// A kill point from its parts.
    public init(commit: Int, moment: Moment) {
      self.commit = commit
      self.moment = moment
    }

    /// In words.
    public var description: String { "commit \(commit), \(moment.rawValue)" }
  }

  private let seed: UInt64
  private let world: SimulatedWorld
  private let plan: Plan
  private let journal = SimulatedJournal()
  private var dice: Dice

  /// Time for faults, and time behind them within which all must end.
  private static let rage: Int64 = 20 * 60_000
  private let rage: Int64
  private static let patience: Int64 = 24 * 3_600_000

  /// Runs the simulation of a seed.
  public static func run(seed: UInt64, _ options: Options = Options()) throws -> Report {
    var dice = Dice(seed: seed)
    var faults = Faults.swarm(&dice)
    // A chance of their own: what else a seed decides does not depend on them.
    var chance = Dice(seed: seed ^ 0x686f_6f6b)
    let hooks = Scene.randomHooks(&chance, &faults)
    if let wanted = options.faults { faults = wanted }
    for kind in options.without { faults[kind] = 0 }
    let scene = try Scene.random(&dice, isPlain: options.isPlain, hooks: hooks)
    return try Simulation(
      seed: seed, options, dice: dice, scene: scene, faults: faults, rage: Self.rage
    ).run()
  }

  /// Runs the simulation of a seed for a study: its faults strike as long as the rollout lasts.
  static func run(seed: UInt64, of study: Study) throws -> Report {
    let scene = try Scene.of(study)
    return try Simulation(
      seed: seed, Options(), dice: Dice(seed: seed), scene: scene, faults: study.faults, rage: patience
    ).run()
  }

  private init(
    seed: UInt64, _ options: Options, dice: Dice, scene: Scene, faults: Faults, rage: Int64
  ) throws {
    self.seed = seed
    self.dice = dice
    self.rage = rage
    let bugs = options.bugs
    plan = scene.plan
    let judge = Judge(
      plan: scene.plan, enginePlan: scene.plan.with(bugs: bugs), newDigest: scene.new.digest,
      isOnlyShared: scene.behaviour == .good && !scene.hasFloors
        && Set(faults.kinds).isSubset(of: Faults.shared))
    world = SimulatedWorld(
      seed: self.dice.next(), faults: faults, bugs: bugs, judge: judge, isTraced: options.isTraced)
    world.killPoint = options.killPoint
    let world = world
    judge.now = { world.now }
    judge.isMet = { world.hosts[$0].isIll && world.hosts[$0].exposedAt != nil }
    world.hosts = plan.hosts.indices.map { SimulatedHost($0, agent: plan.agent.name, world: world) }
    scene.prepare(world.hosts, &self.dice)
    world.note("\(scene.title)")
  }

  private func run() throws -> Report {
    let person = Person(world: world, journal: journal, plan: plan.with(bugs: world.bugs))
    person.begin()
    world.machinery.run(until: world.now + rage) { person.isOver || !world.judge.breaches.isEmpty }
    world.isRaging = false
    world.isDependencyDown = false
    world.note("the faults stop")
    for host in world.hosts {
      host.isCut = false
      host.isDropping = false
    }
    world.machinery.run(until: world.now + Self.patience) { person.isOver || !world.judge.breaches.isEmpty }
    // What a last fault has left is put right.
    if person.isOver { world.machinery.run(until: world.now + 180_000) { !world.judge.breaches.isEmpty } }
    let engine = person.controller.engine
    if world.judge.breaches.isEmpty { checkEnd(person, engine) }
    if world.judge.breaches.isEmpty { checkRescue() }
    person.controller.kill()
    let snapshot = engine.snapshot()
    return Report(
      seed: seed, state: engine.state, breaches: world.judge.breaches, milliseconds: world.now - 1_000_000,
      hosts: plan.hosts.count, faults: world.faults.kinds, trace: world.trace ?? [],
      ends: zip(snapshot.hosts, world.hosts).map { said, real in
        let version = real.traffic?.slot.flatMap { real.written[$0]?.manifest.version.text } ?? "nothing"
        return "\(said.host) \(said.state.rawValue), serves \(version), moved \(real.moves) times"
      }, commits: world.commits, length: snapshot.startedAt.map { (snapshot.endedAt ?? $0) - $0 } ?? 0,
      exposed: world.hosts.count(where: { $0.exposedAt != nil }),
      detectedAfter: detectedAfter)
  }

  private var detectedAfter: Int64? {
    let exposures = world.hosts.filter(\.isIll).compactMap(\.exposedAt)
    guard let first = exposures.min(), let seen = world.judge.failureSeenAt, seen >= first else { return nil }
    return seen - first
  }

  private func checkEnd(_ person: Person, _ engine: RolloutEngine) {
    guard person.isOver else {
      world.judge.fail(.end, "the rollout is \(engine.state.rawValue), \(engine.stateReason)")
      return
    }
    for host in world.hosts { world.judge.watch(host) }
    var replay = JournalReplay(engine: RolloutEngine(plan: engine.plan))
    do {
      for record in journal.records { try replay.take(record) }
      if replay.engine != engine { world.judge.fail(.replay, "the replayed state is not the live one") }
    } catch {
      world.judge.fail(.replay, "\(error)")
    }
    world.judge.checkHooks(atEnd: engine.state)
    for (number, host) in engine.snapshot().hosts.enumerated() {
      checkEnd(of: host, on: world.hosts[number])
    }
  }

  /// Nobody else is there any more: what each host can still undo, it undoes by itself.
  private func checkRescue() {
    for host in world.hosts where host.isUp {
      guard let record = host.disk, let kept = record.retained, record.owner != kept, !host[kept].isBroken
      else { continue }
      host.carryOut(.rollback(reason: "by hand", takeOver: true))
      if host.traffic != kept {
        world.judge.fail(
          .rescue,
          "h\(host.index): a rollback by hand left traffic with \(host.traffic?.rawValue ?? "nobody")")
      }
    }
  }

  /// What the rollout says of a host is so.
  private func checkEnd(of host: HostSnapshot, on real: SimulatedHost) {
    // Two controllers may have undone each other's work where neither had the other's lease.
    guard real.isUp, !world.judge.hasTwoControllers else { return }
    let live = real.traffic?.slot.flatMap { real.written[$0]?.manifest.version.text }
    let isNew = live == plan.release.version.text
    let flip = real.disk?.flip
    switch host.state {
    case .promoted where !isNew || flip?.phase != .promoted:
      world.judge.fail(
        .end,
        "\(host.host) is said to be promoted, serves \(live ?? "nothing"), and its flip is \(flip?.phase.rawValue ?? "none")"
      )
    case .restored where isNew:
      world.judge.fail(.end, "\(host.host) is said to be restored and serves the new version")
    default: break
    }
  }
}

extension Plan {
  /// The plan as an engine with these bugs takes it.
  fileprivate func with(bugs: Set<PlantedBug>) -> Plan {
    var plan = self
    if bugs.contains(.budgetOffByOne) {
      let budget = policy.budget
      plan.policy.budget.canary = .count(budget.canary.ofFailures(1) + 1)
      plan.policy.budget.wave = .count(budget.wave.ofFailures(hosts.count) + 1)
      plan.policy.budget.fleet = .count(budget.fleet.ofFailures(hosts.count) + 1)
    }
    if bugs.contains(.batchOffByOne) {
      for place in waves.indices { plan.waves[place].batch += 1 }
    }
    return plan
  }
}
