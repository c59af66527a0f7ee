import RolloutModel

/// A revert in progress.
struct Undo: Sendable {
  var reason: String
  /// Whether the release is marked as rolled back by a gate or a person.
  var refuse: Bool
  var then: AfterUndo
  /// Whether it's undone because no confirm came, which is not the release's fault.
  var isUnconfirmed = false
  /// The controller that ordered it.
  var orderedBy: String?
}

enum AfterUndo: Sendable {
  case answer(AgentAnswer)
  case begin(AgentOrder)
}

enum UndoStage: Sendable {
  /// Whether the old side answers as it is.
  case asking
  /// Whether it answers once it has been started.
  case waking
  /// The old side does not answer: whether the candidate does.
  case lookingAtCandidate
  /// It does not answer either: whether its unit is up.
  case lookingAtUnit
  case moving
  case settling
}

extension HostMachine {
  /// How long a side that was started has to answer before traffic may go back to it.
  static let wakeWithin = Span.seconds(15)
  static let retryAfter = Span.seconds(10)

  mutating func revert(
    _ key: LeaseKey, _ name: String, _ reason: String, _ refuse: Bool
  ) throws(HostFailure) -> [HostEffect] {
    let record = try checkKey(key)
    guard let flip = record.flip, flip.flip == name else {
      throw HostFailure(
        .flipGone, "the latest flip of agent \(agent) is not \(escapedForTerminal(name))",
        hint: "look at the host again")
    }
    return try rollBack(
      flip, Undo(reason: reason, refuse: refuse, then: .answer(.status), orderedBy: key.controller))
  }

  mutating func rollback(_ reason: String, _ takeOver: Bool) throws(HostFailure) -> [HostEffect] {
    let record = try known()
    guard let flip = record.flip else {
      throw HostFailure(
        .notFound, "agent \(agent) has not been flipped on this host: there is nothing to roll back")
    }
    if let held = record.lease, held.remaining(at: now) > .zero, !takeOver { throw leaseHeld(held) }
    let overruled = record.lease == nil ? [] : change { $0.lease = nil }
    return overruled
      + (try rollBack(flip, Undo(reason: reason, refuse: true, then: .answer(.status))))
  }

  private mutating func rollBack(_ flip: FlipRecord, _ undo: Undo) throws(HostFailure) -> [HostEffect] {
    if flip.phase == .reverted {
      guard undo.refuse, record?.refused.contains(flip.release) == false else { return end(.status) }
      return end(.status, after: change { $0.refuse(flip.release) })
    }
    return try beginUndo(undo)
  }

  /// A flip that must be undone, or an undo that was cut off, comes before anything else.
  func overdueUndo(before order: AgentOrder) -> Undo? {
    guard let record, let flip = record.flip else { return nil }
    switch order {
    case .renew, .release, .stage, .stageEnd, .boot, .rollback, .revert, .forget, .remove, .clear: return nil
    default: break
    }
    let then: AfterUndo = .begin(order)
    switch flip.phase {
    case .armed where flip.bootID != now.bootID:
      return Undo(
        reason: "the host rebooted before the flip was confirmed", refuse: false, then: then,
        isUnconfirmed: true)
    case .armed where flip.deadline < now.moment || (order == .tick && flip.deadline == now.moment):
      return Undo(
        reason: "nobody confirmed the flip in time", refuse: false, then: then, isUnconfirmed: true)
    case .reverting where record.retry?.hasPassed(at: now) ?? (record.quarantine == nil):
      return Undo(reason: flip.reason ?? "the revert was cut off", refuse: false, then: then)
    default: return nil
    }
  }

  mutating func beginUndo(_ undo: Undo) throws(HostFailure) -> [HostEffect] {
    guard let record, let flip = record.flip else { throw belief("there is no flip") }
    if flip.from == nil, flip.phase == .promoted, record.settledInstall == flip.flip {
      throw HostFailure(
        .cannotRestore, "agent \(agent): nothing was here before; its first install is over",
        hint: "roll out the version that you want, or remove the agent: switchyard hosts forget")
    }
    if let from = flip.from, record.retained != from {
      throw HostFailure(
        .cannotRestore, "agent \(agent): the \(from.rawValue) side is not kept any more",
        hint: "roll out the version that you want")
    }
    return self.undo(undo)
  }

  mutating func undo(_ undo: Undo) -> [HostEffect] {
    guard let flip = record?.flip else { return end(.failed(belief("there is no flip"))) }
    let now = now
    let effects = change { record in
      // The boot that this may be part of goes on after it, and must not begin it once more.
      record.bootID = now.bootID
      record.flip?.phase = .reverting
      record.flip?.reason = undo.reason
      if undo.isUnconfirmed { record.flip?.isUnconfirmed = true }
      // An undo that the host has begun by itself stays its own, whoever asks for it next.
      if flip.phase != .reverting { record.flip?.orderedBy = undo.orderedBy }
      // Should this be cut off; its end says otherwise.
      record.retry = HostDeadline(now, plus: HostMachine.retryAfter)
      if undo.refuse { record.refuse(flip.release) }
    }
    guard let from = flip.from else {
      step = .reverting(undo, .moving)
      return effects + [.moveTraffic(to: nil)]
    }
    step = .reverting(undo, .asking)
    return effects + [.awaitAnswer(from, within: Span(milliseconds: 300))]
  }

  mutating func continueUndo(
    _ undo: Undo, _ stage: UndoStage, _ outcome: EffectOutcome
  ) throws(HostFailure) -> [HostEffect] {
    guard let flip = record?.flip else { throw belief("there is no flip") }
    switch (stage, outcome) {
    case (.asking, .answer(nil)), (.waking, .answer(nil)):
      step = .reverting(undo, .moving)
      return [.moveTraffic(to: flip.from)]
    case (.asking, .answer):
      guard let from = flip.from else { throw belief("there is no side to go back to") }
      step = .reverting(undo, .waking)
      return [
        .start(from, within: HostMachine.wakeWithin), .awaitAnswer(from, within: HostMachine.wakeWithin),
      ]
    case (.waking, .answer(let why)): return lookAtCandidate(undo, why ?? "")
    case (.lookingAtCandidate, .answer(nil)): return stuck(undo, cannotAnswer(flip), candidateAnswers: true)
    case (.lookingAtCandidate, .answer):
      step = .reverting(undo, .lookingAtUnit)
      return [.observe]
    case (.lookingAtUnit, .observed(let seen)):
      // A release that has failed is not brought up again by its unit's restarts.
      let isDown = seen[flip.to].map { !$0.isActive } ?? false
      return (isDown ? [.stop(flip.to, wait: false)] : [])
        + stuck(undo, cannotAnswer(flip), candidateAnswers: false)
    case (.moving, .done):
      step = .reverting(undo, .settling)
      return [.observe]
    case (.settling, .observed(let seen)): return reverted(undo, candidate: seen[flip.to])
    default: throw HostFailure(.system, "the host program lost its place in a revert")
    }
  }

  mutating func undoFailed(_ undo: Undo, _ stage: UndoStage, _ failure: HostFailure) -> [HostEffect] {
    // Neither side's silence means anything then: it's done after the boot.
    guard failure.code != .shuttingDown else { return end(.failed(failure)) }
    return switch stage {
    case .waking: lookAtCandidate(undo, failure.message)
    case .moving:
      stuck(undo, "traffic could not be moved back: \(failure.message)", candidateAnswers: false)
    // Traffic is back. How the candidate's unit is only decides how soon it's stopped.
    case .settling: reverted(undo, candidate: nil)
    case .asking, .lookingAtCandidate, .lookingAtUnit: end(.failed(failure), after: [rearm])
    }
  }

  private func cannotAnswer(_ flip: FlipRecord) -> String {
    "the \(name(flip.from)) side can't be made to answer"
  }

  private mutating func lookAtCandidate(_ undo: Undo, _ why: String) -> [HostEffect] {
    guard let flip = record?.flip else { return end(.failed(belief("there is no flip"))) }
    step = .reverting(undo, .lookingAtCandidate)
    return [.awaitAnswer(flip.to, within: Span.seconds(1))]
  }

  /// Traffic is never moved to a dead side. While nothing answers, the old side is tried again and again.
  private mutating func stuck(_ undo: Undo, _ why: String, candidateAnswers: Bool) -> [HostEffect] {
    let now = now
    let owner = name(record?.owner)
    let effects = change { record in
      record.quarantine =
        "the revert (\(undo.reason)) could not be done: \(why); traffic stays at \(owner)"
        + (candidateAnswers ? "" : ", which may not answer either")
      record.retry = candidateAnswers ? nil : HostDeadline(now, plus: HostMachine.retryAfter)
    }
    return after(
      undo, effects + [rearm],
      .failed(
        HostFailure(
          .cannotRestore, "agent \(agent): \(why); traffic stays at \(owner)",
          hint: "repair the old side and roll back again, or accept the present one: switchyard hosts clear"))
    )
  }

  private mutating func reverted(_ undo: Undo, candidate: UnitStatus?) -> [HostEffect] {
    let now = now
    let fallen = candidate.map { !$0.isActive } ?? false
    guard let to = record?.flip?.to else { return end(.failed(belief("there is no flip"))) }
    var effects = change { record in
      record.flip?.phase = .reverted
      record.owner = record.flip?.from
      record.retained = nil
      record.retention = nil
      record.retry = nil
      record.quarantine = nil
      record.drains = [
        Drain(
          side: to,
          until: HostDeadline(now, plus: fallen ? Span(milliseconds: 500) : record.setup.drain),
          empties: true)
      ]
    }
    // It's down, so nothing is cut off, and it must not come back. Its stop may be waiting for us: don't wait for it.
    if fallen { effects.append(.stop(to, wait: false)) }
    var answer: AgentAnswer = .status
    if case .answer(let planned) = undo.then { answer = planned }
    return after(undo, effects + [rearm], answer)
  }

  private mutating func after(_ undo: Undo, _ effects: [HostEffect], _ answer: AgentAnswer) -> [HostEffect] {
    guard case .begin(let order) = undo.then else { return end(answer, after: effects) }
    do throws(HostFailure) {
      return effects + (try begin(order))
    } catch {
      return end(.failed(error), after: effects)
    }
  }
}
