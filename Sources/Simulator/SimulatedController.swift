import ControllerMachine
import HostSteps
import Ports
import RolloutEngine
import RolloutModel

/// The durable log, which outlives its controllers.
final class SimulatedJournal {
  var records: [JournalRecord] = []

  func append(_ entries: [JournalEntry]) {
    for entry in entries {
      records.append(JournalRecord(sequence: Int64(records.count + 1), wall: 0, entry: entry))
    }
  }
}

/// Drives one rollout as the real controller does: appends, then acts. It may be killed or stopped at any moment.
final class SimulatedController: @unchecked Sendable {
  // Used by the simulation's one thread alone, as all of it.
  private unowned let world: SimulatedWorld
  private var journal: SimulatedJournal
  private let plan: Plan
  private let time: SimulatedTime
  private let prober: SimulatedProber
  let identity: ControllerIdentity
  private(set) var machine: ControllerMachine<RolloutEngine>
  private var sessions: [HostSession?]
  private var tasks: [Task<Void, Never>?]
  private(set) var isDead = false
  var isStopped = false
  /// Another controller has taken over, and this one does not know it yet.
  private(set) var isOverruled = false

  init(_ engine: RolloutEngine, journal: SimulatedJournal, name: String, world: SimulatedWorld) {
    self.world = world
    self.journal = journal
    plan = engine.plan
    time = SimulatedTime(world)
    prober = SimulatedProber(engine.plan.agent, controller: name, world: world)
    identity = ControllerIdentity(
      id: name, holder: "somebody", purpose: "rollout \(engine.plan.id)", takesOver: false)
    machine = ControllerMachine(engine: engine)
    sessions = engine.plan.hosts.map { _ in nil }
    tasks = engine.plan.hosts.map { _ in nil }
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
    let copy = SimulatedJournal()
    copy.records = journal.records
    journal = copy
  }

  func kill() {
    isDead = true
    isStopped = false
    world.note("the controller \(identity.id) dies")
    for case let task? in tasks { task.cancel() }
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

  private func begin(_ effect: RolloutEffect) {
    guard case .perform(let host, let attempt, let step, let known, let delay) = effect else {
      if case .cancel(let host) = effect { tasks[host]?.cancel() }
      return
    }
    if !isOverruled { world.judge.begins(effect, journal: journal) }
    world.note("h\(host) \(step.word)\(delay > .zero ? " in \(delay)" : "")")
    let runner = StepRunner(
      plan: plan, session: session(host), known: known, prober: prober, time: time, note: { _ in })
    let (machinery, time) = (world.machinery, time)
    let skipped = world.bugs.outcome(of: step, at: time.now)
    tasks[host] = Task(executorPreference: machinery) { [self] in
      if delay > .zero {
        do { try await time.sleep(delay) } catch {
          finished(host, attempt, step, .cancelled)
          return
        }
      }
      let outcome: StepOutcome
      if let skipped {
        outcome = skipped
      } else if step.isWaiting {
        outcome = await runner.run(step)
      } else {
        // A step that changes a host is not ended in its middle.
        outcome = await Task(executorPreference: machinery) { await runner.run(step) }.value
      }
      finished(host, attempt, step, outcome)
    }
  }

  private func finished(_ host: Int, _ attempt: Int, _ step: HostStep, _ outcome: StepOutcome) {
    guard !isDead else { return }
    // A process that is stopped does nothing at all.
    if isStopped {
      world.machinery.after(1000) { [weak self] in self?.finished(host, attempt, step, outcome) }
      return
    }
    tasks[host] = nil
    world.note("h\(host) \(step.word): \(outcome.brief)")
    let outcome = world.bugs.trusted(outcome, of: step)
    if case .failed(let failure) = outcome, failure.kind == .overruled {
      kill()
      return
    }
    world.judge.concluded(world.hosts[host], step, outcome, by: identity.id)
    happen(.step(host: host, attempt: attempt, outcome))
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
