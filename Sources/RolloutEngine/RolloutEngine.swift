import RolloutModel

/// Decides what happens next in a rollout. Pure: events come in, effects go out; time and chance come with the events, so that
/// the same events always give the same state. The cost of an event does not grow with the fleet, but for the few that
/// concern every host (rollback, resume after a crash).
public struct RolloutEngine: Decider, Hashable, Codable {
  /// What the rollout is doing as a whole.
  enum Mode: Hashable, Sendable, Codable {
    /// Not yet started.
    case idle
    case running
    /// No new starts until a person resumes.
    case paused
    /// The wave `wave` waits for a person.
    case awaitingApproval
    /// No new starts; ends once nothing is under way.
    case stopping(Ending)
    /// Retention is being started on the hosts; then the end.
    case finishing(RolloutState)
    case ended(RolloutState)
  }

  /// How a rollout that stops early ends.
  enum Ending: Hashable, Sendable, Codable {
    case halt, abort, rollback
  }

  /// What was frozen at the start.
  public let plan: Plan
  var mode = Mode.idle
  /// Why the rollout stands as it does.
  var reason = ""
  /// The wave that is walked; `plan.waves.count` once all are done.
  var wave = 0
  /// Whether the wave `wave` has been approved or needs no approval.
  var isWaveOpen = false
  /// Whether a person has said to go on although the current wave promoted no host.
  var isUnprovenAccepted = false
  /// The next host of the current wave that was not begun yet.
  var cursor = 0
  /// Hosts of this or earlier waves that are to be begun anew.
  var requeued: [Int] = []
  /// The hook that is being run; nothing is begun meanwhile.
  var hook: HookUnderWay?
  /// How many runs of hooks were begun.
  var hookRuns = 0
  /// The last hook of the wave `wave` that has passed.
  var passed: WaveHook?
  var hosts: [HostRun]
  var counts = HostCounts()
  /// Hosts with a step under way.
  var underWay = 0
  /// Hosts of each wave that are at no end.
  var open: [Int]
  /// Hosts of each wave that were promoted.
  var proven: [Int]
  /// Failures charged in each wave.
  var failuresByWave: [Int]
  var failures = 0
  var unreachableBeforeStart = 0
  /// Whether the release itself was at fault on some host.
  var isReleaseBlamed = false
  /// When something that all hosts share failed last.
  var sharedAt: Moment?
  /// Preflights that failed on a precondition since one has passed.
  var preconditionFailures = 0
  /// Hosts that were begun and have fallen silent since one has answered, and the number of that silence.
  var silent = 0
  var silence = 1
  /// Hosts that fill a batch although nothing is under way there: their undo could not be proved.
  var stuck = 0
  var startedWall: Int64?
  var endedWall: Int64?
  /// Effects of the event that is being handled.
  var effects: [RolloutEffect] = []
  /// The stamp of the event that is being handled.
  var now = Moment(milliseconds: 0)
  var wall: Int64 = 0
  var chance: UInt64 = 0

  /// The engine of a rollout that has not started.
  public init(plan: Plan) {
    self.plan = plan
    hosts = (0..<plan.hosts.count).map { HostRun(known: HostKnowledge(flip: "\(plan.id)-\($0)-0")) }
    open = plan.waves.map(\.count)
    proven = plan.waves.map { _ in 0 }
    failuresByWave = proven
    counts.pending = plan.hosts.count
  }

  /// Takes in what happened and says what is to be done about it, in order.
  public mutating func handle(_ stamped: StampedEvent) -> [RolloutEffect] {
    now = stamped.at
    wall = stamped.wall
    chance = stamped.chance
    switch stamped.event {
    case .started: start()
    case .resumed: takeUp()
    case .step(let host, let attempt, let outcome):
      if hosts.indices.contains(host), hosts[host].attempt == attempt, hosts[host].step != nil {
        conclude(host, outcome)
      }
    case .hook(let run, let outcome): conclude(run, outcome)
    case .order(let order): obey(order)
    }
    settle()
    defer { effects.removeAll(keepingCapacity: true) }
    return effects
  }

  /// How the rollout stands.
  public var state: RolloutState {
    switch mode {
    case .idle, .running: .running
    case .paused: .paused
    case .awaitingApproval: .awaitingApproval
    case .stopping(.rollback): .rollingBack
    case .stopping(.halt), .stopping(.abort), .finishing: .running
    case .ended(let state): state
    }
  }

  /// Whether a gate, a soak or a unit's failure was laid to the release on some host.
  public var isReleaseAtFault: Bool { isReleaseBlamed }

  /// Why the rollout stands as it does; empty while there's nothing to say.
  public var stateReason: String { reason }

  /// Whether nothing is under way and nothing more happens without a person.
  public var isAtRest: Bool {
    switch mode {
    case .paused, .awaitingApproval: underWay == 0 && hook == nil
    case .ended: true
    case .idle, .running, .stopping, .finishing: false
    }
  }

  /// Where the host stands.
  public func phase(of host: Int) -> HostPhase { hosts[host].phase }

  /// The number of the step that the host was given last.
  public func attempt(of host: Int) -> Int { hosts[host].attempt }

  /// The hosts that this rollout has promoted, each with the flip that a rollback undoes.
  public var promotedFlips: [(host: Int, flip: String)] {
    hosts.indices.filter { hosts[$0].phase == .promoted && hosts[$0].touched }
      .map { ($0, hosts[$0].known.flip) }
  }

  /// Why a person can't have this host skipped or tried again as it stands; nil where that can be.
  public func obstacle(to verb: Order.Verb, host: Int) -> String? {
    let phase = hosts[host].phase
    switch verb {
    case .skip where phase == .promoted: return "is promoted already; `rollback` undoes it"
    case .skip where phase == .quarantined || phase == .restoring: return "is \(phase.rawValue)"
    case .retry where !mayRetry(host): return "is \(phase.rawValue) and needs no new try"
    default: return nil
    }
  }

  /// Why a person can't have hosts skipped or tried again any more; nil where that can be.
  public func obstacle(to verb: Order.Verb) -> String? {
    switch (verb, mode) {
    case (.skip, _) where !isGoingOn: "has ended or is ending: no host is begun any more"
    case (.retry, .stopping), (.retry, .finishing): "is ending; try again once it has ended"
    case (.retry, .ended(let state)) where state != .promotedWithExceptions && state != .halted:
      "is over: \(state.rawValue); start a new one for these hosts"
    default: nil
    }
  }

  private mutating func start() {
    guard mode == .idle else { return }
    startedWall = wall
    mode = .running
  }

  /// Another controller goes on: what was under way is unknown, so each such host is asked how it stands.
  private mutating func takeUp() {
    sharedAt = nil
    // How far a hook came is unknown: where the wave still waits for it, it is run again.
    hook = nil
    for host in hosts.indices {
      restartClocks(host)
      guard let step = hosts[host].step else { continue }
      underWay -= 1
      hosts[host].step = nil
      if step == .preflight, let undo = hosts[host].undo {
        // It was to be ended: what it might still find is of no matter.
        undoWanted(host, undo, .cancelled)
        continue
      }
      switch step {
      // Nothing has been done there, and it starts anew: a pause holds it.
      case .preflight where isGoingOn && mode != .running: returnToPending(host)
      case .preflight, .restore, .retain: perform(host, step)
      case .stage, .start, .gate, .flip, .prove, .confirm, .soak, .promote, .reconcile:
        perform(host, .reconcile)
      }
    }
  }

  /// The controller's machine may have been booted anew: only the wall's clock spans that.
  private mutating func restartClocks(_ host: Int) {
    hosts[host].lostSince = nil
    hosts[host].sharedSince = nil
    hosts[host].sharedSeen = nil
    guard hosts[host].phase.isInFlight else { return }
    let away = Moment(milliseconds: wall).since(Moment(milliseconds: hosts[host].sinceWall))
    addTime(host, to: hosts[host].phase, max(0, away.milliseconds))
    hosts[host].since = now
    hosts[host].sinceWall = wall
  }

  private mutating func addTime(_ host: Int, to phase: HostPhase, _ milliseconds: Int64) {
    if let place = hosts[host].spent.firstIndex(where: { $0.phase == phase }) {
      hosts[host].spent[place].milliseconds += milliseconds
    } else {
      hosts[host].spent.append(PhaseTime(phase: phase, milliseconds: milliseconds))
    }
  }

  // MARK: What every part uses

  mutating func perform(_ host: Int, _ step: HostStep, after delay: Span = .zero) {
    hosts[host].attempt += 1
    if hosts[host].step == nil { underWay += 1 }
    hosts[host].step = step
    if let phase = step.phase { enter(host, phase) }
    effects.append(
      .perform(host: host, attempt: hosts[host].attempt, step, hosts[host].known, delay: delay))
  }

  /// The step under way has come to its end.
  mutating func clearStep(_ host: Int) {
    guard hosts[host].step != nil else { return }
    hosts[host].step = nil
    underWay -= 1
  }

  mutating func enter(_ host: Int, _ phase: HostPhase) {
    let old = hosts[host].phase
    guard old != phase else { return }
    if old.isInFlight { addTime(host, to: old, now.since(hosts[host].since).milliseconds) }
    counts.add(-1, to: old)
    counts.add(1, to: phase)
    let wave = waveOf(host)
    if old.isEnd != phase.isEnd { open[wave] += phase.isEnd ? -1 : 1 }
    if old == .promoted { proven[wave] -= 1 }
    if phase == .promoted { proven[wave] += 1 }
    stuck += (fillsBatch(host, phase) ? 1 : 0) - (fillsBatch(host, old) ? 1 : 0)
    hosts[host].phase = phase
    hosts[host].since = now
    hosts[host].sinceWall = wall
  }

  /// A host whose undo could not be proved goes on filling its place in the batch.
  private func fillsBatch(_ host: Int, _ phase: HostPhase) -> Bool {
    hosts[host].touched && (phase == .quarantined || phase == .unreachable)
  }

  func waveOf(_ host: Int) -> Int {
    // Waves are few and follow one another: a search by halves over their first hosts.
    var low = 0
    var high = plan.waves.count - 1
    while low < high {
      let middle = (low + high + 1) / 2
      if plan.waves[middle].first <= host { low = middle } else { high = middle - 1 }
    }
    return low
  }

  /// A delay that doubles from half a second to 16 s, less up to half of it by chance, so that hosts don't come back all at once.
  func backoff(_ times: Int) -> Span {
    let whole = Int64(500) << Int64(min(max(times - 1, 0), 5))
    let spread = UInt64(whole / 2)
    return Span(milliseconds: whole - Int64(chance % (spread + 1)))
  }
}
