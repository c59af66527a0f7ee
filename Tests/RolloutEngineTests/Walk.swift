import ControllerMachine
import RolloutModel
import Testing

@testable import RolloutEngine

/// One random rollout through a world full of faults, judged after every event.
struct Walk {
  let seed: UInt64
  var dice: Dice
  var world: FakeWorld
  var engine: RolloutEngine
  var machineRecords: [JournalRecord] = []
  var now: Int64 = 1_000_000
  /// Hosts with a step under way, by attempt.
  var underWay: [Int?]
  /// Hosts that a person wanted tried again.
  var retried: Set<Int> = []
  /// Hosts whose lease another took.
  var overtaken: Set<Int> = []
  /// The hook that is being run.
  var hook: HookRun?
  /// Hooks that have passed, by their names and waves.
  var passed: Set<String> = []
  /// Waves that a person let start.
  var approved: Set<Int> = []
  var events = 0

  init(seed: UInt64) throws {
    self.seed = seed
    var dice = Dice(seed: seed)
    let count = Int.random(in: 1...60, using: &dice)
    let plan = try makePlan(count, Self.policy(count, &dice))
    engine = RolloutEngine(plan: plan)
    var hosts = (0..<count).map { _ in FakeHost() }
    for host in hosts.indices where dice.chance(5) { hosts[host].wasLive = true }
    world = FakeWorld(hosts: hosts, faults: Int.random(in: 0...25, using: &dice), dice: Dice(seed: seed &+ 1))
    underWay = hosts.map { _ in nil }
    self.dice = dice
  }

  private static func policy(_ count: Int, _ dice: inout Dice) -> Policy {
    var ends = (0..<Int.random(in: 0...4, using: &dice)).map { _ in Int.random(in: 1...count, using: &dice) }
    // One in ten stops short of the fleet.
    if !dice.chance(10) || ends.isEmpty { ends.append(count) }
    let waves = Set(ends).sorted().map { end in
      wave(
        .count(end), batch: .count(Int.random(in: 1...10, using: &dice)), approve: dice.chance(25),
        soak: .seconds(1))
    }
    let most = dice.chance(50) ? 3 : 60
    func borne() -> Amount { .count(Int.random(in: 0...most, using: &dice)) }
    var policy = makePolicy(
      waves, budget: Budget(canary: borne(), wave: borne(), fleet: borne(), unreachable: borne()),
      onBreach: dice.chance(50) ? .halt : .rollback)
    if dice.chance(50) { policy.hooks = makeHooks(before: dice.chance(70), after: dice.chance(70)) }
    return policy
  }

  /// Faults and orders for a while, then peace until the end.
  mutating func run() throws {
    try take(.started)
    let wild = Int.random(in: 0...600, using: &dice)
    while events < wild, !(engine.state.isEnd && dice.chance(30)) {
      world.stir()
      try stepOnce()
    }
    world.faults = 0
    // Every host is given at most a try of some 15 steps more, and a restore.
    let bound = events + 60 * world.hosts.count + 300
    var stalls = 0
    while !engine.state.isEnd {
      guard events < bound else { throw broken("did not end within \(bound) events") }
      if hook != nil {
        try endHook()
        continue
      }
      guard !world.jobs.isEmpty else {
        stalls += 1
        try nudge(stalls)
        continue
      }
      try endOne()
    }
    try judgeEnd()
    try judgeReplay()
  }

  private mutating func stepOnce() throws {
    switch Int.random(in: 0..<100, using: &dice) {
    case 0..<4: try take(.order(randomOrder()))
    case 4:
      world.crash(now: Moment(milliseconds: now))
      underWay = underWay.map { _ in nil }
      hook = nil
      try take(.resumed(controller: "another"))
    case 5: try takeLate()
    case 6..<50 where hook != nil: try endHook()
    default: if world.jobs.isEmpty { try take(.order(randomOrder())) } else { try endOne() }
    }
  }

  private mutating func endOne() throws {
    guard let (host, attempt, outcome) = world.endOne(now: Moment(milliseconds: now)) else { return }
    try take(.step(host: host, attempt: attempt, outcome))
  }

  /// What a hook comes to; one that was told to end may have passed before it heard of it.
  private mutating func endHook() throws {
    guard let run = hook else { return }
    let isBad = dice.chance(world.faults)
    try take(
      .hook(
        run, isBad ? .failed(reason: "as chance has it", hint: "") : dice.chance(5) ? .cancelled : .passed))
  }

  /// An outcome of an attempt that is not under way changes nothing.
  private mutating func takeLate() throws {
    let host = Int.random(in: world.hosts.indices, using: &dice)
    let before = engine.snapshot()
    let late = engine.attempt(of: host) - (underWay[host] == nil ? 0 : 1)
    let state = engine.state
    let effects = try take(.step(host: host, attempt: late, .promoted))
    guard effects.isEmpty, engine.snapshot() == before, engine.state == state else {
      throw broken("a late outcome of host \(host) had an effect")
    }
  }

  private mutating func randomOrder() -> Order {
    let some = (0..<Int.random(in: 1...3, using: &dice)).map { _ in
      Int.random(in: -1...world.hosts.count, using: &dice)
    }
    let verb: Order.Verb
    switch Int.random(in: 0..<20, using: &dice) {
    case 0..<3: verb = .pause
    case 3..<8: verb = .resume
    case 8..<12: verb = .approve
    case 12..<15: verb = .skip(some)
    case 15..<18: verb = .retry(some)
    case 18: verb = .abort
    default: verb = .rollback
    }
    return Order(verb, reason: "", by: "walk")
  }

  /// A person helps a rollout that waits.
  private mutating func nudge(_ stalls: Int) throws {
    switch engine.state {
    case .awaitingApproval: try take(.order(Order(.approve, reason: "", by: "walk")))
    case .paused where stalls < 20: try take(.order(Order(.resume, reason: "", by: "walk")))
    case .paused: try take(.order(Order(.abort, reason: "", by: "walk")))
    default: throw broken("\(engine.state) with nothing under way")
    }
  }

  // MARK: One event, judged

  @discardableResult
  mutating func take(_ event: RolloutEvent) throws -> [RolloutEffect] {
    events += 1
    now += Int64.random(in: 0...5000, using: &dice)
    let stamped = StampedEvent(event, at: Moment(milliseconds: now), wall: now, chance: dice.next())
    let before = engine
    if case .order(let order) = event {
      if case .retry(let hosts) = order.verb { retried.formUnion(hosts) }
      if order.verb == .approve, engine.state == .awaitingApproval { approved.insert(engine.wave) }
    }
    let effects = engine.handle(stamped)
    record(.event(stamped))
    effects.forEach { record(.intent($0)) }
    if case .step(let host, let attempt, _) = event, world.hosts.indices.contains(host),
      underWay[host] == attempt
    {
      underWay[host] = nil
    }
    if case .step(let host, _, .failed(let failure)) = event, failure.kind == .leaseLost {
      overtaken.insert(host)
    }
    if case .hook(let run, let outcome) = event, run == hook {
      hook = nil
      if outcome == .passed { passed.insert("\(run.hook) \(run.wave)") }
    }
    for effect in effects { try act(effect, after: event, before: before) }
    try judgeCounts()
    return effects
  }

  private mutating func record(_ entry: JournalEntry) {
    machineRecords.append(JournalRecord(sequence: Int64(machineRecords.count + 2), wall: now, entry: entry))
  }

  private mutating func act(_ effect: RolloutEffect, after event: RolloutEvent, before: RolloutEngine) throws
  {
    switch effect {
    case .perform(let host, let attempt, let step, let known, let delay):
      guard underWay[host] == nil else {
        throw broken("host \(host) was given \(step.word) during another step")
      }
      underWay[host] = attempt
      try judgeOrder(host, step, after: event)
      let isRestore = if case .restore = step { true } else { false }
      if before.hosts[host].phase == .pending, !isRestore {
        try judgeStart(host, after: event, before: before)
      }
      world.jobs.append(
        FakeWorld.Job(host: host, attempt: attempt, step: step, known: known, isDelayed: delay > .zero))
    case .cancel(let host):
      guard let place = world.jobs.firstIndex(where: { $0.host == host }) else {
        throw broken("host \(host) has no step that could be ended early")
      }
      world.jobs[place].isCancelled = true
    case .runHook(let run, let chosen):
      guard hook == nil, engine.counts.inFlight == 0, !chosen.isEmpty, run.wave == engine.wave else {
        throw broken("\(run) begins beside others")
      }
      hook = run
      passed.remove("\(run.hook) \(run.wave)")
    case .cancelHook(let run):
      guard hook == run else { throw broken("\(run) is ended and is not under way") }
    case .rest(let state):
      guard state == engine.state || engine.state == .paused else {
        throw broken("rests in \(state), is \(engine.state)")
      }
    }
  }

  /// Promise 3 and its like: the dangerous steps come only from the outcome that allows them.
  private func judgeOrder(_ host: Int, _ step: HostStep, after event: RolloutEvent) throws {
    let outcome: StepOutcome? = if case .step(host, _, let outcome) = event { outcome } else { nil }
    let isAllowed: Bool
    switch (step, outcome) {
    case (.flip(let passed), .gatePassed(let moment)): isAllowed = passed == moment
    case (.confirm, .proven), (.promote, .soaked): isAllowed = true
    case (.soak, .confirmed), (.soak, .standing(.confirmed)): isAllowed = true
    case (.flip, _), (.confirm, _), (.promote, _), (.soak, _): isAllowed = false
    default: isAllowed = true
    }
    guard isAllowed else { throw broken("host \(host): \(step.word) after \(event)") }
  }

  /// Promises 8, 9, 10 and 20.
  private func judgeStart(_ host: Int, after event: RolloutEvent, before: RolloutEngine) throws {
    let place = engine.waveOf(host)
    if case .order = event {
    } else {
      switch before.state {
      case .running where !before.isAtRest: break
      default: throw broken("host \(host) starts in \(before.state)")
      }
    }
    guard !engine.isOverBudget else { throw broken("host \(host) starts over budget") }
    let batch = engine.plan.waves[min(engine.wave, engine.plan.waves.count - 1)].batch
    let isBetweenWaves = engine.wave < engine.plan.waves.count && !engine.isWaveOpen
    guard
      engine.counts.inFlight + engine.stuck
        <= (isBetweenWaves ? engine.plan.waves[max(engine.wave - 1, 0)].batch : batch)
    else { throw broken("host \(host) starts in a full batch") }
    for other in 0..<engine.plan.waves[place].first
    where !engine.hosts[other].phase.isEnd && !retried.contains(other) {
      throw broken("host \(host) of wave \(place) starts before host \(other) is at an end")
    }
    try judgeHooks(host, in: place)
    if engine.plan.waves[place].approve, !approved.contains(place) {
      throw broken("wave \(place) was not approved")
    }
  }

  /// Nothing is begun while a hook is run, nor before those that it must wait for have passed.
  private func judgeHooks(_ host: Int, in place: Int) throws {
    guard hook == nil else { throw broken("host \(host) starts during a hook") }
    guard let hooks = engine.plan.policy.hooks, !retried.contains(host) else { return }
    if hooks.beforeWave != nil, !passed.contains("\(WaveHook.beforeWave) \(place)") {
      throw broken("host \(host) starts before its wave's hook has passed")
    }
    for earlier in 0..<place where hooks.afterWave != nil {
      let isProven = engine.plan.waves[earlier].range.contains {
        engine.hosts[$0].phase == .promoted && !retried.contains($0)
      }
      if isProven, !passed.contains("\(WaveHook.afterWave) \(earlier)") {
        throw broken("host \(host) starts before the last hook of wave \(earlier) has passed")
      }
    }
  }

  private func judgeCounts() throws {
    var counts = HostCounts()
    var stuck = 0
    for host in engine.hosts {
      counts.add(1, to: host.phase)
      if host.touched, host.phase == .quarantined || host.phase == .unreachable { stuck += 1 }
      guard host.phase.isInFlight || host.phase == .promoted || host.step == nil else {
        throw broken("a host that is \(host.phase) has a step under way")
      }
      guard !host.phase.isInFlight || host.step != nil else {
        throw broken("a host that is \(host.phase) has no step")
      }
    }
    guard counts == engine.counts, stuck == engine.stuck else { throw broken("the counts do not add up") }
    guard engine.underWay == engine.hosts.filter({ $0.step != nil }).count else {
      throw broken("steps are miscounted")
    }
    guard engine.failures == engine.hosts.filter(\.isCharged).count,
      engine.failures == engine.failuresByWave.reduce(0, +)
    else { throw broken("failures are miscounted") }
    let unreachable = engine.hosts.filter { $0.phase == .unreachable && !$0.touched }.count
    guard engine.unreachableBeforeStart == unreachable else {
      throw broken("unreachable hosts are miscounted")
    }
    for (place, planned) in engine.plan.waves.enumerated() {
      let phases = engine.hosts[planned.range].map(\.phase)
      guard engine.open[place] == phases.filter({ !$0.isEnd }).count,
        engine.proven[place] == phases.filter({ $0 == .promoted }).count
      else { throw broken("wave \(place) is miscounted") }
    }
  }

  // MARK: The end

  /// Promise 19, and what a rollout says of its hosts is what they are.
  private func judgeEnd() throws {
    guard underWay.allSatisfy({ $0 == nil }), world.jobs.isEmpty, engine.underWay == 0 else {
      throw broken("ended with steps under way")
    }
    for (place, host) in engine.hosts.enumerated() {
      let real = world.hosts[place].place
      let isTrue: Bool
      switch host.phase {
      case .promoted: isTrue = real == .promoted || world.hosts[place].wasLive
      // Without the lease nobody may take back what an earlier try of the step had staged (promise 14); nothing of it runs.
      case .failed: isTrue = real == .old || real == .staged && overtaken.contains(place)
      case .restored, .skipped, .pending: isTrue = real == .old
      case .unreachable: isTrue = host.touched || real == .old
      case .quarantined: isTrue = true
      default: isTrue = false
      }
      guard isTrue else { throw broken("host \(place) is said to be \(host.phase), and is \(real)") }
    }
    let inWaves = engine.hosts[..<engine.plannedHosts].map(\.phase)
    switch engine.state {
    case .promoted: try require(inWaves.allSatisfy { $0 == .promoted })
    case .promotedWithExceptions:
      try require(!inWaves.contains(.pending) && !inWaves.allSatisfy { $0 == .promoted })
    case .rolledBack:
      try require(!engine.hosts.contains { $0.isUnknown || $0.phase == .promoted && $0.touched })
    case .rollbackIncomplete: try require(engine.hosts.contains { $0.isUnknown || $0.phase == .quarantined })
    default: break
    }
  }

  private func require(_ condition: Bool) throws {
    guard condition else { throw broken("ended \(engine.state) with \(engine.counts)") }
  }

  /// Promise 6.
  private func judgeReplay() throws {
    var replay = JournalReplay(engine: RolloutEngine(plan: engine.plan))
    for record in machineRecords { try replay.take(record) }
    guard replay.engine == engine, try canonicalJSON(replay.engine) == canonicalJSON(engine) else {
      throw broken("the replay is another state")
    }
  }

  func broken(_ what: String) -> Broken { Broken(what: "seed \(seed), event \(events): \(what)") }
}

/// A promise that was broken, with the seed that shows it.
struct Broken: Error, CustomStringConvertible {
  var what: String
  var description: String { what }
}
