import ControllerMachine
import HostSteps
import Ports
import RolloutEngine
import RolloutModel

/// Drives one rollout as the real controller does: appends, then acts. It may be killed or stopped at any moment.
final class SimulatedController: @unchecked Sendable {
  /// A step under way on a host, or the wait before it.
  private struct Work {
    var task: Task<Void, Never>
    /// Whether it is ended early where the rollout wants it.
    var mayEndEarly: Bool
  }

  // Used by the simulation's one thread alone, as all of it.
  private unowned let world: SimulatedWorld
  private var journal: SimulatedJournal
  private let plan: Plan
  private let releases: ReleaseIdentities
  private let time: SimulatedTime
  private let prober: SimulatedProber
  let identity: ControllerIdentity
  private(set) var machine: ControllerMachine<RolloutEngine>
  private var queue = StepQueue()
  private var sessions: [HostSession?]
  private var works: [Work?]
  /// The hook that is being run.
  private var hookTask: Task<Void, Never>?
  private(set) var isDead = false
  var isStopped = false
  /// Another controller has taken over, and this one does not know it yet.
  private(set) var isOverruled = false

  init(_ engine: RolloutEngine, journal: SimulatedJournal, name: String, world: SimulatedWorld) {
    self.world = world
    self.journal = journal
    plan = engine.plan
    releases = ReleaseIdentities(of: engine.plan)
    time = SimulatedTime(world)
    prober = SimulatedProber(engine.plan.agent, controller: name, world: world)
    identity = ControllerIdentity(
      id: name, holder: "somebody", purpose: "rollout \(engine.plan.id)", takesOver: false)
    machine = ControllerMachine(engine: engine)
    sessions = engine.plan.hosts.map { _ in nil }
    works = engine.plan.hosts.map { _ in nil }
  }

  var engine: RolloutEngine { machine.engine }

  /// Whether nothing more happens without a person.
  var isResting: Bool { !isDead && machine.isQuiet && machine.engine.isAtRest }

  func happen(_ event: RolloutEvent) {
    guard !isDead else { return }
    if world.bugs.contains(.pauseIgnored), case .order(let order) = event, order.verb == .pause {
      world.judge.paused()
      return
    }
    let stamped = StampedEvent(event, at: time.now, wall: time.wall, chance: time.chance)
    if case .order(let order) = event { world.note("ordered: \(order.verb)") }
    act(machine.handle(.event(stamped)))
  }

  /// Another controller goes on from the journal; what this one writes goes to nobody.
  func overrule() {
    isOverruled = true
    world.judge.hasTwoControllers = true
    journal = SimulatedJournal(copying: journal)
  }

  func kill() {
    isDead = true
    isStopped = false
    world.note("the controller \(identity.id) dies")
    for case let work? in works where work.mayEndEarly { work.task.cancel() }
    hookTask?.cancel()
  }

  private func act(_ actions: [ControllerMachine<RolloutEngine>.Action]) {
    for action in actions {
      switch action {
      case .commit(let entries): commit(entries)
      case .perform(let effects): effects.forEach { begin($0) }
      case .stop(let why):
        world.note("the journal can't be written: \(why)")
        kill()
      }
    }
  }

  private func commit(_ entries: [JournalEntry]) {
    if world.strikes(.commitFails) {
      world.machinery.after(1) { [weak self] in
        guard let self, !isDead else { return }
        act(machine.handle(.commitFailed("the disk is full")))
      }
      return
    }
    if world.bugs.contains(.actBeforeAppend) {
      for case .intent(let effect) in entries { begin(effect) }
    }
    let number = world.commits
    world.commits += 1
    world.machinery.after(world.dice.number(1...8)) { [weak self] in
      guard let self else { return }
      let killed = world.killPoint.flatMap { $0.commit == number ? $0.moment : nil }
      if killed == .beforeItIsDurable {
        world.onKill(self)
        return
      }
      if !isDead, !isOverruled, world.strikes(.powerLost) {
        losePower(writing: entries)
        return
      }
      // A commit may have become durable although nobody lived to hear of it.
      guard !isDead || world.dice.permille(500) else { return }
      journal.append(entries)
      if !isOverruled { world.judge.appended(entries) }
      if killed == .beforeItIsActedOn { world.onKill(self) }
      guard !isDead else { return }
      act(machine.handle(.committed))
      if killed == .afterItsEffectsBegan || world.strikes(.controllerKilled) { world.onKill(self) }
    }
  }

  /// The machine's power goes while a commit is being written: of that there is all afterwards, or nothing.
  private func losePower(writing entries: [JournalEntry]) {
    world.note("the machine of the controller \(identity.id) loses its power")
    do {
      let left = PowerLoss.remains(of: try CommitFrames.bytes(of: entries), &world.dice)
      let found = try CommitFrames.read(left)
      if found.isWhole, found.entries != entries {
        world.judge.fail(.replay, "a commit is read otherwise than it was written")
      }
      let isTaken = found.isWhole || world.bugs.contains(.halfCommitTaken)
      if isTaken, !found.entries.isEmpty {
        journal.append(found.entries)
        world.judge.appended(found.entries)
      }
    } catch {
      world.judge.fail(.replay, "a commit can't be read: \(error)")
    }
    world.onKill(self)
  }

  private func begin(_ effect: RolloutEffect) {
    switch effect {
    case .perform(let host, let attempt, let step, let known, let delay):
      if !isOverruled { world.judge.begins(effect, journal: journal) }
      world.note("h\(host) \(step.word)\(delay > .zero ? " in \(delay)" : "")")
      let job = StepQueue.Job(host: host, attempt: attempt, step: step, known: known)
      guard delay > .zero else {
        admit(job)
        return
      }
      let wait = Task(executorPreference: world.machinery) { [self, time] in
        // A sleep ends early only where the step is not wanted any more, which is asked next.
        try? await time.sleep(delay)
        if Task.isCancelled { finished(job, .cancelled) } else { admit(job) }
      }
      works[host] = Work(task: wait, mayEndEarly: true)
    case .cancel(let host):
      if let job = queue.withdraw(host) {
        world.machinery.after(0) { [weak self] in self?.finished(job, .cancelled) }
      } else if let work = works[host], work.mayEndEarly {
        work.task.cancel()
      }
    case .runHook(let run, let hosts):
      if !isOverruled { world.judge.begins(effect, journal: journal) }
      begin(run, hosts)
    case .cancelHook: hookTask?.cancel()
    case .rest: break
    }
  }

  /// A hook takes its time, now and then very long, and may fail as long as faults strike.
  private func begin(_ run: HookRun, _ hosts: [Int]) {
    world.note("\(run.hook.rawValue) of wave \(run.wave) on \(hosts.count) hosts")
    let length = world.dice.number(1_000...(world.dice.permille(100) ? 600_000 : 20_000))
    let isBad = world.strikes(.hookFails)
    hookTask = Task(executorPreference: world.machinery) { [self] in
      for host in hosts.prefix(3) { report(run, host) }
      let isWhole = await world.machinery.wait(length)
      let outcome: HookOutcome =
        !isWhole
        ? .cancelled
        : isBad ? .failed(reason: "h0 ended as failed: Check: as the seed has it", hint: "") : .passed
      if !isOverruled { world.judge.ended(run, outcome) }
      hookEnded(run, world.bugs.trusted(outcome))
    }
    if world.bugs.contains(.hookNotAwaited) {
      world.machinery.after(0) { [weak self] in self?.hookEnded(run, .passed) }
    }
  }

  /// A hook's playbook has changed something on a host.
  private func report(_ run: HookRun, _ host: Int) {
    guard !isDead, !isStopped else { return }
    let result = PlaybookTaskResult(
      host: plan.hosts[host].name, task: PlaybookTask(name: "Check", play: "Checks"), outcome: .changed,
      message: "")
    act(machine.handle(.news(PlaybookNews(.hook(run), host: host, .result(result)))))
  }

  private func hookEnded(_ run: HookRun, _ outcome: HookOutcome) {
    guard !isDead else { return }
    if isStopped {
      world.machinery.after(1000) { [weak self] in self?.hookEnded(run, outcome) }
      return
    }
    world.note("\(run.hook.rawValue) of wave \(run.wave): \(outcome)")
    happen(.hook(run, outcome))
  }

  /// Begins a step, at once or once there is a place for it.
  private func admit(_ job: StepQueue.Job) {
    works[job.host] = nil
    if job.step.isWaiting || queue.admit(job) { start(job) }
  }

  private func start(_ job: StepQueue.Job) {
    let runner = StepRunner(
      plan: plan, releases: releases, session: session(job.host), known: job.known, prober: prober,
      time: time,
      note: { _ in })
    let skipped = world.bugs.outcome(of: job.step, at: time.now)
    let task = Task(executorPreference: world.machinery) { [self] in
      let outcome = if let skipped { skipped } else { await runner.run(job.step) }
      if !job.step.isWaiting, let next = queue.next(), !isDead { start(next) }
      finished(job, outcome)
    }
    works[job.host] = Work(task: task, mayEndEarly: job.step.isWaiting)
  }

  private func finished(_ job: StepQueue.Job, _ outcome: StepOutcome) {
    guard !isDead else { return }
    // A process that is stopped does nothing at all.
    if isStopped {
      world.machinery.after(1000) { [weak self] in self?.finished(job, outcome) }
      return
    }
    works[job.host] = nil
    world.note("h\(job.host) \(job.step.word): \(outcome.brief)")
    let outcome = world.bugs.trusted(outcome, of: job.step)
    if case .failed(let failure) = outcome, failure.kind == .overruled {
      kill()
      return
    }
    world.judge.concluded(world.hosts[job.host], job.step, outcome, by: identity.id)
    happen(.step(host: job.host, attempt: job.attempt, outcome))
  }

  private func session(_ host: Int) -> HostSession {
    if let session = sessions[host] { return session }
    let session = HostSession(
      host: plan.hosts[host], setup: AgentSetup(agent: plan.agent, host: plan.hosts[host].name),
      channel: SimulatedDoor(world.hosts[host], controller: self, world: world), identity: identity,
      time: time)
    sessions[host] = session
    return session
  }
}

extension Set<PlantedBug> {
  /// A hook's outcome as a bug takes it.
  fileprivate func trusted(_ outcome: HookOutcome) -> HookOutcome {
    guard contains(.hookFailureIgnored), case .failed = outcome else { return outcome }
    return .passed
  }

  /// A lost reply as a bug takes it.
  fileprivate func trusted(_ outcome: StepOutcome, of step: HostStep) -> StepOutcome {
    guard contains(.trustExitCode), case .failed(let failure) = outcome, failure.kind == .lost else {
      return outcome
    }
    return switch step {
    case .flip: .flipped
    case .confirm: .confirmed
    case .promote: .promoted
    case .restore: .restored
    default: outcome
    }
  }

  /// What a step comes to at once where a bug leaves it out.
  fileprivate func outcome(of step: HostStep, at now: Moment) -> StepOutcome? {
    switch step {
    case .gate where contains(.flipBeforeGate): .gatePassed(now)
    case .prove where contains(.confirmUnseen): .proven
    case .soak where contains(.promoteWithoutSoak): .soaked(samples: 0)
    default: nil
    }
  }
}

extension StepOutcome {
  /// For a trace.
  var brief: String {
    switch self {
    case .failed(let failure): "failed (\(failure.kind.rawValue)): \(failure.reason)"
    case .standing(let standing): "stands: \(standing)"
    case .cleared(let result): "cleared, live \(result.isLive)"
    default: String("\(self)".prefix { $0 != "(" })
    }
  }
}
