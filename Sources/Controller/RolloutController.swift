import ControllerMachine
import HostSteps
import Ports
import RolloutEngine
import RolloutModel

/// The outside world of a controller.
public struct World: Sendable {
  /// The ways to the hosts.
  public var doors: any Doors
  /// Measures.
  public var prober: any Prober
  /// The event log.
  public var journal: any Journal
  /// Time and chance.
  public var time: any Timekeeper
  /// The run's log.
  public var log: any RunLog

  /// Runs playbooks that prepare hosts; nil where there is nobody who could.
  public var preparer: (any HostPreparer)?
  /// Runs playbooks around waves; nil where there is nobody who could.
  public var hooks: (any HookRunner)?

  /// A world from its parts.
  public init(
    doors: any Doors, prober: any Prober, journal: any Journal, time: any Timekeeper, log: any RunLog,
    preparer: (any HostPreparer)? = nil, hooks: (any HookRunner)? = nil
  ) {
    self.preparer = preparer
    self.hooks = hooks
    self.doors = doors
    self.prober = prober
    self.journal = journal
    self.time = time
    self.log = log
  }
}

/// What a controller tells while it works.
public enum ControllerNews: Sendable {
  /// This happened, and it is durable; the host as it stands behind it, where it concerns one.
  case happened(StampedEvent, HostSnapshot?)
  /// A wave has begun or ended.
  case wave(String, WaveSnapshot.State)
  /// A playbook of the rollout has done this, and it is durable.
  case playbook(PlaybookNews)
  /// A wave's hook has begun, or has come to this.
  case hook(wave: String, HookSnapshot, HookOutcome?)
  /// The rollout's state or reason has changed.
  case state(RolloutState, reason: String)
}

/// Drives one rollout: appends what happens to the journal, then does what the engine decides, each host on its own.
public actor RolloutController {
  /// Connections kept open between a host's end and the rollout's, so that a rollback finds them warm.
  private static let keptConnections = 256

  /// Events and news behind the commit under way; with more than these a playbook waits before it goes on.
  private static let mostBacklog = 512

  /// A step under way on a host, or the wait before it.
  private struct Work {
    var task: Task<Void, Never>
    /// Whether it is ended early where the rollout wants it.
    var mayEndEarly: Bool
  }

  private let plan: Plan
  private let releases: ReleaseIdentities
  private let world: World
  private let identity: ControllerIdentity
  private let news: @Sendable (ControllerNews) -> Void
  private var machine: ControllerMachine<RolloutEngine>
  private var sessions: [HostSession?]
  /// What is under way on each host.
  private var works: [Work?]
  private var queue = StepQueue()
  private var notes: [String?]
  private let logs: [HostLog]
  private let preparer: BoundedPreparer?
  /// The hook that is being run.
  private var hookTask: Task<Void, Never>?
  /// The same for people.
  private var hook: HookSnapshot?
  private var lastTold: (RolloutState, String)?
  private var wavesTold: [WaveSnapshot.State]
  private var fault: JournalError?
  private var rest: CheckedContinuation<Void, Never>?
  /// Whether `run` has ended: nothing that is said afterwards would be done.
  private var isOver = false
  private var commitsBegun = 0
  private var commitsEnded = 0
  private var waiting: [(commit: Int, done: CheckedContinuation<Void, Never>)] = []

  /// A controller for a rollout whose past, where it has one, is in `engine` already.
  public init(
    engine: RolloutEngine, world: World, identity: ControllerIdentity,
    news: @escaping @Sendable (ControllerNews) -> Void
  ) {
    plan = engine.plan
    releases = ReleaseIdentities(of: engine.plan)
    self.world = world
    self.identity = identity
    self.news = news
    machine = ControllerMachine(engine: engine)
    sessions = engine.plan.hosts.map { _ in nil }
    works = engine.plan.hosts.map { _ in nil }
    notes = engine.plan.hosts.map { _ in nil }
    preparer = world.preparer.map(BoundedPreparer.init)
    logs = engine.plan.hosts.map { HostLog(world.log, host: $0.name, time: world.time) }
    wavesTold = engine.plan.waves.map { _ in .pending }
  }

  /// Lets these events happen and works until the rollout rests: at its end, or where it waits for a person and nothing is
  /// under way. Throws where the journal can't be written: nothing new is started then, and the hosts keep their own
  /// safeguards.
  public func run(_ events: [RolloutEvent]) async throws(JournalError) -> RolloutState {
    for event in events { happen(event) }
    // Something may have been said between the moment of rest and this one.
    while !isResting {
      await withCheckedContinuation { rest = $0 }
    }
    isOver = true
    // One that was told to end takes its processes with it.
    await hookTask?.value
    for case let session? in sessions { await session.channel.close() }
    if let fault { throw fault }
    return machine.engine.state
  }

  /// A person says something. Answers once it is durable; false where the controller has ended and does it no more.
  @discardableResult
  public func order(_ order: Order) async -> Bool {
    guard !isOver else { return false }
    let before = commitsBegun
    happen(.order(order))
    // Behind a commit that is under way it waits for the next one.
    let commit = commitsBegun > before ? commitsBegun : before + 1
    if fault == nil { await withCheckedContinuation { waiting.append((commit, $0)) } }
    return fault == nil
  }

  /// The rollout as it stands, with what each host waits for in place of an empty reason.
  public func snapshot() -> RolloutSnapshot {
    var snapshot = machine.engine.snapshot()
    for place in snapshot.waves.indices { snapshot.waves[place].hook?.note = hook?.note }
    for place in snapshot.hosts.indices where snapshot.hosts[place].state.isInFlight {
      if let note = notes[place] {
        let reason = snapshot.hosts[place].reason
        snapshot.hosts[place].reason = reason.isEmpty ? note : "\(note) (\(reason))"
      }
    }
    return snapshot
  }

  /// Why the controller stopped without the rollout's having come to rest.
  public var stoppedBy: JournalError? { fault }

  private var isResting: Bool {
    fault != nil || machine.isQuiet && machine.engine.isAtRest
  }

  private func happen(_ event: RolloutEvent) {
    let stamped = StampedEvent(event, at: world.time.now, wall: world.time.wall, chance: world.time.chance)
    act(machine.handle(.event(stamped)))
  }

  private func act(_ actions: [ControllerMachine<RolloutEngine>.Action]) {
    for action in actions {
      switch action {
      case .commit(let entries): commit(entries)
      case .perform(let effects): effects.forEach(begin)
      case .stop(let why):
        stop(
          JournalError(
            why, hint: "mend it and take the rollout up again with `switchyard rollout resume \(plan.id)`"))
      }
    }
    if isResting {
      rest?.resume()
      rest = nil
    }
  }

  /// Starts nothing more, and ends `run`.
  private func stop(_ why: JournalError) {
    fault = why
    for case let work? in works where work.mayEndEarly { work.task.cancel() }
    hookTask?.cancel()
    rest?.resume()
    rest = nil
  }

  private func endCommit() {
    commitsEnded += 1
    for waiter in waiting where waiter.commit <= commitsEnded || fault != nil { waiter.done.resume() }
    waiting.removeAll { $0.commit <= commitsEnded || fault != nil }
  }

  private func commit(_ entries: [JournalEntry]) {
    commitsBegun += 1
    Task {
      do throws(JournalError) {
        try await world.journal.append(entries, to: plan.id, wall: world.time.wall)
        tell(entries)
        act(machine.handle(.committed))
      } catch {
        act(machine.handle(.commitFailed(error.description)))
      }
      endCommit()
    }
  }

  private func tell(_ entries: [JournalEntry]) {
    for entry in entries {
      if case .playbook(let found) = entry { news(.playbook(found)) }
      guard case .event(let event) = entry else { continue }
      switch event.event {
      case .step(let host, _, _): news(.happened(event, machine.engine.hostSnapshot(host)))
      case .hook(let run, let outcome):
        news(.happened(event, nil))
        if let ended = hook { news(.hook(wave: plan.waves[run.wave].name, ended, outcome)) }
        hook = nil
      case .started, .resumed, .order: news(.happened(event, nil))
      }
    }
    // What has ended is told before what that leads to, and what begins after it.
    tellWaves { $0 != .running }
    let state = (machine.engine.state, machine.engine.stateReason)
    if lastTold.map({ $0 != state }) ?? true {
      lastTold = state
      news(.state(state.0, reason: state.1))
    }
    tellWaves { _ in true }
    for case .intent(.runHook(let run, let hosts)) in entries { tellBegin(of: run, hosts) }
  }

  private func tellBegin(of run: HookRun, _ hosts: [Int]) {
    let begun = HookSnapshot(
      hook: run.hook, playbook: plan.policy.hooks?[run.hook]?.playbook ?? "", hosts: hosts.count,
      since: world.time.wall)
    hook = begun
    news(.hook(wave: plan.waves[run.wave].name, begun, nil))
  }

  private func tellWaves(_ isWanted: (WaveSnapshot.State) -> Bool) {
    for place in wavesTold.indices {
      let state = machine.engine.waveState(place)
      guard state != wavesTold[place], isWanted(state) else { continue }
      wavesTold[place] = state
      news(.wave(plan.waves[place].name, state))
    }
  }

  private func begin(_ effect: RolloutEffect) {
    // Who has been overruled, or can't write, takes nothing up any more: not even a lease.
    guard fault == nil else { return }
    switch effect {
    case .perform(let host, let attempt, let step, let known, let delay):
      notes[host] = nil
      let job = StepQueue.Job(host: host, attempt: attempt, step: step, known: known)
      guard delay > .zero else {
        admit(job)
        return
      }
      let wait = Task { [time = world.time] in
        // A sleep ends early only where the step is not wanted any more, which is asked next.
        try? await time.sleep(delay)
        if Task.isCancelled { finished(host, attempt, .cancelled) } else { admit(job) }
      }
      works[host] = Work(task: wait, mayEndEarly: true)
    case .cancel(let host):
      if let job = queue.withdraw(host) {
        // Behind what led to this, as every event.
        Task { finished(host, job.attempt, .cancelled) }
      } else if let work = works[host], work.mayEndEarly {
        work.task.cancel()
      }
    case .runHook(let run, let hosts): begin(run, hosts)
    case .cancelHook: hookTask?.cancel()
    case .rest: break
    }
  }

  private func begin(_ run: HookRun, _ hosts: [Int]) {
    let work = HookWork(plan: plan, runner: world.hooks)
    let scribe = PlaybookScribe(.hook(run), hosts: hosts, of: plan, log: world.log, time: world.time)
    hookTask = Task {
      let outcome = await work.run(run, hosts: hosts) { [weak self] event in
        if let words = event.words { await self?.noteHook(event.host.map { "\($0) \(words)" } ?? words) }
        if let kept = scribe.take(event) { await self?.record(kept) }
      }
      hookTask = nil
      if fault == nil { happen(.hook(run, outcome)) }
    }
  }

  /// Has the journal keep what a playbook does, before whatever that comes to. Waits where the journal is far behind, and lets the
  /// playbook wait with that.
  private func record(_ news: PlaybookNews) async {
    guard fault == nil, !isOver else { return }
    act(machine.handle(.news(news)))
    while fault == nil, machine.backlog > Self.mostBacklog {
      let commit = commitsBegun
      await withCheckedContinuation { waiting.append((commit, $0)) }
    }
  }

  private func noteHook(_ text: String) { hook?.note = text }

  /// Begins a step, at once or once there is a place for it.
  private func admit(_ job: StepQueue.Job) {
    guard fault == nil else { return }
    works[job.host] = nil
    if job.step.isWaiting {
      start(job, mayEndEarly: true) { _ in }
    } else if queue.admit(job) {
      startChange(job)
    }
  }

  /// A step that changes a host is not ended in its middle.
  private func startChange(_ job: StepQueue.Job) {
    start(job, mayEndEarly: false) { controller in
      if let next = controller.queue.next(), controller.fault == nil { controller.startChange(next) }
    }
  }

  private func start(
    _ job: StepQueue.Job, mayEndEarly: Bool,
    whenDone: @escaping @Sendable (isolated RolloutController) -> Void
  ) {
    let (host, attempt) = (job.host, job.attempt)
    let log = logs[host]
    let source: RunLogSource = job.step.isWaiting ? .gate : .step
    let scribe = PlaybookScribe(.prepare, hosts: [host], of: plan, log: world.log, time: world.time)
    let runner = StepRunner(
      plan: plan, releases: releases, session: session(host), known: job.known, prober: world.prober,
      preparer: preparer, time: world.time,
      note: { [weak self] text in
        log.note(source, text)
        // A note is for people only: one that comes late is dropped with the host's step.
        Task { await self?.note(host, attempt, text) }
      },
      tellPlaybook: { [weak self] event in
        if let words = event.words { await self?.note(host, attempt, "prepare \(words)") }
        if let kept = scribe.take(event) { await self?.record(kept) }
      },
      unitLines: { log.unit($0) })
    let task = Task {
      let outcome = await runner.run(job.step)
      whenDone(self)
      finished(host, attempt, outcome)
    }
    works[host] = Work(task: task, mayEndEarly: mayEndEarly)
  }

  private func finished(_ host: Int, _ attempt: Int, _ outcome: StepOutcome) {
    works[host] = nil
    notes[host] = nil
    if case .failed(let failure) = outcome { logs[host].unit(failure.lastLines) }
    guard fault == nil else { return }
    if case .failed(let failure) = outcome, failure.kind == .overruled {
      // Nothing that it still decides would be right.
      stop(JournalError(failure.reason, hint: failure.hint))
      return
    }
    happen(.step(host: host, attempt: attempt, outcome))
    let phase = machine.engine.hostSnapshot(host).state
    if phase.isEnd, works[host] == nil, plan.hosts.count > Self.keptConnections, let session = sessions[host]
    {
      Task { await session.channel.close() }
    }
  }

  private func note(_ host: Int, _ attempt: Int, _ text: String) {
    guard works[host] != nil, machine.engine.attempt(of: host) == attempt else { return }
    notes[host] = text
  }

  private func session(_ host: Int) -> HostSession {
    if let session = sessions[host] { return session }
    let session = HostSession(
      host: plan.hosts[host], setup: AgentSetup(agent: plan.agent, host: plan.hosts[host].name),
      channel: LoggedChannel(
        inner: world.doors.channel(to: plan.hosts[host]), log: logs[host], time: world.time),
      identity: identity, time: world.time)
    sessions[host] = session
    return session
  }
}
