import RolloutModel

/// What a machine is asked to do. Those of a controller carry its lease's key.
public enum AgentOrder: Hashable, Sendable {
  /// Take or keep the lease.
  case acquire(LeaseRequest)
  /// Prolong the lease.
  case renew(LeaseKey, ttl: Span)
  /// Give the lease back.
  case release(LeaseKey)
  /// Tell how much of a release's archive is here.
  case stage(LeaseKey, IdentifiedRelease)
  /// Verify and unpack a release's archive.
  case stageEnd(LeaseKey, IdentifiedRelease)
  /// Write a slot and start its unit.
  case start(LeaseKey, Slot, IdentifiedRelease, deadline: Span)
  /// Stop and empty a slot. `refuse` marks the named release, or else what is in the slot or was staged for it, as rolled
  /// back by a gate or a person.
  case discard(LeaseKey, Slot, release: Digest?, reason: String, refuse: Bool)
  /// Move traffic.
  case flip(LeaseKey, FlipOrder)
  /// The flip was seen to work from outside.
  case confirm(LeaseKey, flip: String)
  /// The soak is over.
  case promote(LeaseKey, flip: String)
  /// Undo a flip.
  case revert(LeaseKey, flip: String, reason: String, refuse: Bool)
  /// The rollout has ended.
  case retain(LeaseKey, Retention)
  /// A person rolls back.
  case rollback(reason: String, takeOver: Bool)
  /// A person lifts the quarantine, accepts the present owner and forgets refused releases and the floor.
  case clear
  /// Remove all that is ours.
  case forget(force: Bool)
  /// A person takes Switchyard's own agent away, with the way through it.
  case remove
  /// The timer fired: do what is due.
  case tick
  /// A slot's unit has stopped.
  case stopped(Slot, invocation: String, how: String)
  /// The host has booted: put it in order.
  case boot

  /// Whether it must not be begun on a host that is going down: units stop there by themselves, which would be taken for
  /// the release's failure.
  public var waitsForNextBoot: Bool {
    switch self {
    case .stageEnd, .start, .discard, .flip, .confirm, .promote, .revert, .rollback, .tick: true
    case .acquire, .renew, .release, .stage, .retain, .clear, .forget, .remove, .stopped, .boot: false
    }
  }
}

/// What happens to a machine.
public enum HostEvent: Hashable, Sendable {
  /// Something is asked of it.
  case order(AgentOrder)
  /// Its last effects were all executed; what came of the last one.
  case outcome(EffectOutcome)
  /// One of its last effects failed; those after it were not executed.
  case failed(HostFailure)
  /// The record could not be made durable: what it announces must not be done. Nothing after it was executed.
  case notRecorded(HostFailure)
}

/// What a machine wants done. Executed in order; the first that fails ends the batch. A batch is answered by one event,
/// unless it ends with `reply`, which ends the operation.
public enum HostEffect: Hashable, Sendable {
  /// Make the record durable.
  indirect case persist(AgentRecord)
  /// Install the program and its own units on the host.
  case installProgram
  /// See how all units are, and where traffic goes.
  case observe
  /// Fail where a unit of the slot's name is not ours.
  case claim(Slot)
  /// Fail where something listens on the slot's port.
  case requireFreePort(Slot)
  /// Write the slot's environment, link and unit.
  case write(Slot, IdentifiedRelease)
  /// Remove the slot's environment, link and unit.
  case empty(Slot)
  /// Start a side's unit and wait until it's active or has failed; with zero, don't wait.
  case start(Side, within: Span)
  /// Stop a side's unit.
  case stop(Side, wait: Bool)
  /// Have a side's unit not started at boot any more; a slot's never is.
  case disable(Side)
  /// Tell how many bytes of the release's archive are here.
  case measure(IdentifiedRelease)
  /// Verify, unpack and make visible.
  case unpack(IdentifiedRelease)
  /// Remove releases other than these.
  case collectGarbage(keeping: [ReleaseManifest])
  /// Wait until a side answers on its own port.
  case awaitAnswer(Side, within: Span)
  /// Send new connections there; nil sends them nowhere.
  case moveTraffic(to: Side?)
  /// Have `tick` called then, instead of at the moment named before; nil: not at all.
  case armTimer(at: Moment?)
  /// Take away what the way through Switchyard's own agent needs beside the agent. Conversations that are under way go on.
  case closeAgentDoor
  /// Tell whoever asked that it is begun: what follows may end the way to them.
  case announce
  /// Remove all that is ours of the agent but its state; its units are stopped already.
  case removeAll
  /// Remove the agent's state, and the program where no agent is left.
  case removeState
  /// Answer; the operation is over.
  case reply(AgentAnswer)
}

/// What came of an effect.
public enum EffectOutcome: Hashable, Sendable {
  /// It was done.
  case done
  /// Of `observe`.
  case observed(AgentObservation)
  /// Of `start`: the unit, and its last lines where it's not active.
  case unit(UnitStatus, lastLines: [String])
  /// Of `measure`.
  case have(Int64)
  /// Of `awaitAnswer`: nil where the side answers, else why not.
  case answer(String?)
}

/// How an operation ended.
public enum AgentAnswer: Hashable, Sendable {
  /// With the agent as it is now.
  case status
  /// With a lease.
  case lease(Lease)
  /// With the bytes of an archive that are here.
  case staged(have: Int64)
  /// With nothing to say.
  case done
  /// Not done, or not wholly.
  case failed(HostFailure)
}

/// The units and the traffic of an agent, as they were seen.
public struct AgentObservation: Hashable, Sendable {
  /// The blue slot's unit.
  public var blue: UnitStatus
  /// The green slot's unit.
  public var green: UnitStatus
  /// The adopted agent's unit; nil where the setup names none.
  public var adopted: UnitStatus?
  /// The side that new connections reach; nil where none does or it can't be told.
  public var owner: Side?
  /// What is wrong with the traffic rules; nil where nothing is.
  public var disturbance: String?

  /// An observation from its parts.
  public init(
    blue: UnitStatus, green: UnitStatus, adopted: UnitStatus?, owner: Side?, disturbance: String?
  ) {
    self.blue = blue
    self.green = green
    self.adopted = adopted
    self.owner = owner
    self.disturbance = disturbance
  }

  /// A side's unit.
  public subscript(side: Side) -> UnitStatus? {
    switch side {
    case .blue: blue
    case .green: green
    case .adopted: adopted
    }
  }
}

extension UnitStatus {
  /// Whether it runs, in this invocation, without having been restarted.
  func runs(_ invocation: String) -> Bool { isActive && restarts == 0 && self.invocation == invocation }

  /// What a message says of it.
  public var summary: String {
    var text = "\(unit) is \(activeState) (\(subState))"
    if result != "success" && !result.isEmpty { text += ", \(result) \(exitStatus)" }
    if restarts > 0 { text += ", \(restarts) restarts" }
    return text
  }
}

extension AgentRecord {
  /// Where traffic is elsewhere than is recorded, as after a boot or a flush until it is put right.
  private func strayed(_ seen: AgentObservation) -> String? {
    guard seen.owner != owner else { return nil }
    return
      "it goes to \(seen.owner?.rawValue ?? "no side") and is recorded to go to \(owner?.rawValue ?? "no side")"
  }

  /// What is told of the agent, from what is recorded and what was seen.
  public func status(_ seen: AgentObservation, at now: HostNow, lastLines: [String] = []) -> AgentStatus {
    AgentStatus(
      bootID: now.bootID, now: now.moment, owner: seen.owner, disturbance: seen.disturbance ?? strayed(seen),
      slots: [
        SlotStatus(slot: .blue, release: blue?.release, unit: seen.blue),
        SlotStatus(slot: .green, release: green?.release, unit: seen.green),
      ],
      adopted: seen.adopted, flip: flip, retained: retained,
      lease: lease.flatMap { $0.remaining(at: now) > .zero ? $0.lease(at: now) : nil },
      lastLease: lastLease, quarantine: quarantine, refused: refused, floor: floor,
      lastGood: lastGood?.digest, lastLines: lastLines)
  }
}
