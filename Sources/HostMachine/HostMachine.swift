import RolloutModel

/// What a host decides alone about one agent: lease, slots, flip, probation, revert, retention. Pure: it's told the time
/// and what came of its effects. One operation at a time, under the agent's lock; a machine whose operation was cut off
/// is thrown away, and the next one goes on from the last record that was persisted.
public struct HostMachine: Sendable {
  /// The agent.
  public let agent: AgentName
  /// What is remembered of it; nil where it's not known here.
  public internal(set) var record: AgentRecord?
  var now: HostNow
  var step = Step.idle
  /// What went wrong on the way without ending the operation.
  var complaint: HostFailure?

  /// What the machine waits for.
  enum Step: Sendable {
    case idle
    /// The last batch of an operation: nothing is left to decide.
    case ending
    case meeting(LeaseRequest)
    case measuring
    case claiming(Slot, IdentifiedRelease, deadline: Span)
    case starting(Slot)
    case givingUp(HostFailure)
    case emptying(Slot)
    case checkingFlip(FlipOrder)
    case flipping
    case checkingConfirm
    case checkingPromote
    case reverting(Undo, UndoStage)
    case supervising
    case housekeeping(Chore)
    case waking(Side)
    case placingTraffic
    case wakingRetained
  }

  /// A machine with the record that was persisted last.
  public init(agent: AgentName, record: AgentRecord?, now: HostNow) {
    self.agent = agent
    self.record = record
    self.now = now
  }

  /// Takes in what happened and says what is to be done.
  public mutating func handle(_ event: HostEvent, at now: HostNow) -> [HostEffect] {
    self.now = now
    do throws(HostFailure) {
      switch event {
      case .order(let order): return try begin(order)
      case .outcome(let outcome): return try proceed(outcome)
      case .failed(let failure): return recover(failure)
      case .notRecorded(let failure): return giveIn(failure)
      }
    } catch {
      return end(.failed(error))
    }
  }

  mutating func begin(_ order: AgentOrder) throws(HostFailure) -> [HostEffect] {
    if let undo = overdueUndo(before: order) { return try beginUndo(undo) }
    switch order {
    case .acquire(let request): return try acquire(request)
    case .renew(let key, let ttl): return try renew(key, ttl)
    case .release(let key): return try release(key)
    case .stage(let key, let release): return try stage(key, release)
    case .stageEnd(let key, let release): return try stageEnd(key, release)
    case .start(let key, let slot, let release, let deadline):
      return try start(key, slot, release, deadline)
    case .discard(let key, let slot, let release, _, let refuse):
      return try discard(key, slot, release, refuse: refuse)
    case .flip(let key, let order): return try flip(key, order)
    case .confirm(let key, let name): return try confirm(key, name)
    case .promote(let key, let name): return try promote(key, name)
    case .revert(let key, let name, let reason, let refuse):
      return try revert(key, name, reason, refuse)
    case .retain(let key, let retention): return try retain(key, retention)
    case .rollback(let reason, let takeOver): return try rollback(reason, takeOver)
    case .clear: return try clear()
    case .forget(let force): return try forget(force)
    case .remove: return try remove()
    case .tick: return try tick()
    case .stopped(let slot, let invocation, let how): return try stopped(slot, invocation, how)
    case .boot: return try boot()
    }
  }

  mutating func proceed(_ outcome: EffectOutcome) throws(HostFailure) -> [HostEffect] {
    switch (step, outcome) {
    case (.meeting(let request), .observed(let seen)): return try meet(request, seen)
    case (.measuring, .have(let have)): return end(.staged(have: have))
    case (.claiming(let slot, let release, let deadline), .observed(let seen)):
      return try fill(slot, release, deadline, seen)
    case (.starting(let slot), .unit(let unit, let lastLines)):
      return started(slot, unit, lastLines)
    case (.givingUp(let failure), _): return end(.failed(failure))
    case (.emptying(let slot), .done): return emptied(slot)
    case (.checkingFlip(let order), .observed(let seen)): return try arm(order, seen)
    case (.flipping, .done): return end(.status)
    case (.checkingConfirm, .observed(let seen)): return try confirmed(seen)
    case (.checkingPromote, .observed(let seen)): return try promoted(seen)
    case (.reverting(let undo, let stage), _): return try continueUndo(undo, stage, outcome)
    case (.supervising, .observed(let seen)): return try supervise(seen)
    case (.housekeeping(let chore), .done): return finish(chore)
    case (.waking(let side), .unit(let unit, let lastLines)): return try woke(side, unit, lastLines)
    case (.placingTraffic, .done): return wakeRetained()
    case (.wakingRetained, _): return housekeep()
    default:
      throw HostFailure(.system, "the host program lost its place: \(outcome) came unasked")
    }
  }

  mutating func recover(_ failure: HostFailure) -> [HostEffect] {
    switch step {
    case .starting(let slot): return giveUp(slot, failure)
    case .givingUp(let first): return end(.failed(first))
    case .flipping: return flipFailed(failure)
    case .reverting(let undo, let stage): return undoFailed(undo, stage, failure)
    case .supervising, .wakingRetained: return housekeep()
    case .placingTraffic:
      complaint = failure
      return wakeRetained()
    case .housekeeping(let chore): return postpone(chore)
    case .waking where failure.code != .shuttingDown: return wakingFailed(failure)
    default: return end(.failed(failure))
    }
  }

  /// Without a durable record nothing that it announces is done: the operation is over, and the next one goes on from the last
  /// record that was persisted.
  mutating func giveIn(_ failure: HostFailure) -> [HostEffect] {
    switch step {
    case .givingUp(let first): return end(.failed(first))
    case .placingTraffic where complaint == nil:
      // What was to be written told of units alone: who owns traffic has long been recorded.
      complaint = failure
      return placeTraffic()
    default: return end(.failed(failure))
    }
  }

  /// The operation's end: effects that must be done, then the answer.
  mutating func end(_ answer: AgentAnswer, after effects: [HostEffect] = []) -> [HostEffect] {
    step = .ending
    return effects + [.reply(answer)]
  }

  /// Changes the record; the effect makes that durable.
  mutating func change(_ body: (inout AgentRecord) -> Void) -> [HostEffect] {
    guard var changed = record else { return [] }
    body(&changed)
    changed.revision &+= 1
    record = changed
    return [.persist(changed)]
  }

  func known() throws(HostFailure) -> AgentRecord {
    guard let record else {
      throw HostFailure(
        .notFound, "nothing is known of agent \(agent) on this host",
        hint: "it becomes known with the first rollout to this host")
    }
    return record
  }

  /// How often a flip in probation is looked at, should its unit's end not have been told.
  static let superviseEvery = Span.seconds(10)

  var rearm: HostEffect {
    guard let record else { return .armTimer(at: nil) }
    var due = [record.nextDue(at: now)].compactMap { $0 }
    if record.inProbation { due.append(now.moment + HostMachine.superviseEvery) }
    return .armTimer(at: due.min())
  }
}
