import RolloutModel

/// Something that was due.
enum Chore: Sendable {
  /// A drain has ended, and the side is emptied.
  case empty(Side)
  /// The retained unit need not run any more.
  case stopRetained(Side)
  /// The retained side need not be installed any more.
  case retire(Side)
}

extension HostMachine {
  mutating func tick() throws(HostFailure) -> [HostEffect] {
    guard let record else { return end(.done) }
    guard record.bootID == now.bootID else { return try boot() }
    guard record.inProbation else { return housekeep() }
    step = .supervising
    return [.observe]
  }

  /// What `stopped` would have said, had it got through.
  mutating func supervise(_ seen: AgentObservation) throws(HostFailure) -> [HostEffect] {
    guard let flip = record?.flip, let unit = seen[flip.to], unit.loadState != "",
      !unit.runs(flip.invocation)
    else { return housekeep() }
    return try beginUndo(
      Undo(reason: "the candidate failed in probation: \(unit.summary)", refuse: true, then: .begin(.tick)))
  }

  mutating func stopped(_ slot: Slot, _ invocation: String, _ how: String) throws(HostFailure) -> [HostEffect]
  {
    guard let record, let flip = record.flip, flip.to == Side(slot), record.owner == flip.to,
      (record.inProbation && flip.invocation == invocation) || flip.phase == .reverting
    else { return end(.done) }
    return try beginUndo(
      Undo(
        reason: "the candidate stopped in probation: \(escapedForTerminal(how))", refuse: true,
        then: .answer(.done)))
  }

  /// Does the next thing that is due; when nothing is, arms the timer for the next one.
  mutating func housekeep() -> [HostEffect] {
    guard let record else { return end(.done) }
    let answer: AgentAnswer = complaint.map { .failed($0) } ?? .done
    if let drain = record.drains.first(where: { $0.until.hasPassed(at: now) }) {
      // Whatever else has happened since: what serves or is kept stays.
      if drain.empties, record.owner != drain.side, record.retained != drain.side, let slot = drain.side.slot
      {
        step = .housekeeping(.empty(drain.side))
        return [.claim(slot), .stop(drain.side, wait: true), .empty(slot)]
      }
      let effects = change { $0.drains.removeAll { $0 == drain } }
      return effects + housekeep()
    }
    if let retained = record.retained, let clock = record.retention, record.flip?.phase == .promoted,
      record.owner != retained
    {
      let left = clock.left(at: now)
      if left.installed == .zero {
        step = .housekeeping(.retire(retained))
        guard let slot = retained.slot else { return [.disable(retained), .stop(retained, wait: true)] }
        return [.claim(slot), .stop(retained, wait: true), .empty(slot)]
      }
      if left.running == .zero, !clock.stopped {
        step = .housekeeping(.stopRetained(retained))
        return [.stop(retained, wait: true)]
      }
      let now = now
      let settled = change { $0.retention?.settle(at: now) }
      return end(answer, after: settled + [rearm])
    }
    return end(answer, after: [rearm])
  }

  mutating func finish(_ chore: Chore) -> [HostEffect] {
    var effects: [HostEffect]
    switch chore {
    case .stopRetained: effects = change { $0.retention?.stopped = true }
    case .empty(let side), .retire(let side):
      effects = change { record in
        if let slot = side.slot { record[slot] = nil }
        record.letGo(of: side)
      }
      effects.append(.collectGarbage(keeping: record?.manifests ?? []))
    }
    return effects + housekeep()
  }

  /// A chore that failed is tried again later; everything else goes on.
  mutating func postpone(_ chore: Chore) -> [HostEffect] {
    let now = now
    let later = Span.seconds(30)
    let effects = change { record in
      switch chore {
      case .empty(let side):
        for place in record.drains.indices where record.drains[place].side == side {
          record.drains[place].until = HostDeadline(now, plus: later)
        }
      case .stopRetained, .retire:
        record.retention?.settle(at: now)
        let left = record.retention?.left ?? Retention(running: later, installed: later)
        record.retention?.left = Retention(
          running: max(left.running, later), installed: max(left.installed, later))
      }
    }
    return effects + housekeep()
  }

  mutating func boot() throws(HostFailure) -> [HostEffect] {
    guard let record else { return end(.done) }
    if let flip = record.flip, record.quarantine == nil || record.bootID != now.bootID {
      let unconfirmed = flip.phase == .armed && flip.bootID != now.bootID
      if unconfirmed || flip.phase == .reverting {
        let reason = flip.reason ?? "the host rebooted before the flip was confirmed"
        return try beginUndo(
          Undo(reason: reason, refuse: false, then: .begin(.boot), isUnconfirmed: unconfirmed))
      }
    }
    guard let owner = record.owner else { return noteBoot() + housekeep() }
    // In the same boot too: systemd may have begun anew without the kernel. Starting what runs does nothing.
    step = .waking(owner)
    return [.start(owner, within: Span.seconds(30))]
  }

  private mutating func noteBoot() -> [HostEffect] {
    let now = now
    guard record?.bootID != now.bootID else { return [] }
    return change { $0.noteBoot(now.bootID) }
  }

  mutating func woke(
    _ side: Side, _ unit: UnitStatus, _ lastLines: [String]
  ) throws(HostFailure) -> [HostEffect] {
    let now = now
    guard unit.isActive else {
      return wakingFailed(
        HostFailure(.unitFailed, "the live side did not come up: \(unit.summary)", lastLines: lastLines))
    }
    if let flip = record?.flip, flip.phase == .armed, flip.to == side, flip.invocation != unit.invocation {
      return try beginUndo(
        Undo(
          reason: "the host began anew before the flip was confirmed", refuse: false, then: .begin(.boot),
          isUnconfirmed: true))
    }
    func note(_ record: inout AgentRecord) {
      record.noteBoot(now.bootID)
      if let slot = side.slot {
        record[slot]?.bootID = now.bootID
        record[slot]?.invocation = unit.invocation
      }
      if record.flip?.phase == .confirmed, record.flip?.to == side {
        record.flip?.bootID = now.bootID
        record.flip?.invocation = unit.invocation
      }
    }
    guard let record else { return placeTraffic() }
    var noted = record
    note(&noted)
    return (noted == record ? [] : change(note)) + placeTraffic()
  }

  /// In probation the live side's failure to come up undoes the flip; after it there is nothing to go back to by itself.
  mutating func wakingFailed(_ failure: HostFailure) -> [HostEffect] {
    guard let record, record.inProbation, record.retained == record.flip?.from else {
      complaint = failure
      return noteBoot() + placeTraffic()
    }
    return undo(
      Undo(reason: "after a reboot: \(failure.message)", refuse: true, then: .answer(.failed(failure))))
  }

  mutating func placeTraffic() -> [HostEffect] {
    step = .placingTraffic
    return [.moveTraffic(to: record?.owner)]
  }

  /// The way back is as quick after a reboot as before it.
  mutating func wakeRetained() -> [HostEffect] {
    guard let record, let retained = record.retained, record.retention?.stopped != true else {
      return housekeep()
    }
    step = .wakingRetained
    return [.start(retained, within: .zero)]
  }

  mutating func clear() throws(HostFailure) -> [HostEffect] {
    _ = try known()
    let effects = change { record in
      record.quarantine = nil
      record.retry = nil
      record.refused = []
      // That of the rollout at hand, which says what it wants itself, stays.
      record.floor = record.lease == nil ? nil : record.setup.floor
      // A revert that could not be done: a person accepts the side that has traffic.
      if record.flip?.phase == .reverting { record.flip?.phase = .promoted }
    }
    return end(.status, after: effects + [rearm])
  }

  mutating func forget(_ force: Bool) throws(HostFailure) -> [HostEffect] {
    // What an earlier one may have left.
    guard let record else { return end(.done, after: [.removeState]) }
    if !force, let held = record.lease, held.remaining(at: now) > .zero { throw leaseHeld(held) }
    if !force, let owner = record.owner, owner != .adopted {
      throw HostFailure(
        .invalid, "the \(owner.rawValue) slot of agent \(agent) receives traffic",
        hint: "with --force it's stopped and removed all the same")
    }
    return end(.done, after: takingAway(record))
  }

  /// Whoever serves is no reason to stay; who is at work on it is.
  mutating func remove() throws(HostFailure) -> [HostEffect] {
    guard let record else { return end(.done, after: [.closeAgentDoor, .removeState]) }
    try checkFree(record)
    return end(.done, after: [.closeAgentDoor, .announce] + takingAway(record))
  }

  /// Nobody takes an agent away behind a rollout's back, nor behind the host's own.
  private func checkFree(_ record: AgentRecord) throws(HostFailure) {
    if let held = record.lease, held.remaining(at: now) > .zero {
      var failure = leaseHeld(held)
      failure.hint = "wait for the rollout's end, or end it: switchyard rollout abort"
      throw failure
    }
    if let flip = record.flip, record.inProbation || flip.phase == .reverting {
      throw HostFailure(
        .staleBelief,
        "agent \(agent) can't be removed now: its latest flip is \(flip.phase.rawValue) and not yet promoted",
        hint: "end that first: "
          + (flip.phase == .reverting
            ? "switchyard hosts clear accepts the side that has traffic"
            : "switchyard rollout resume, or switchyard hosts rollback"))
    }
  }

  private func takingAway(_ record: AgentRecord) -> [HostEffect] {
    var effects: [HostEffect] = [
      .armTimer(at: nil), .moveTraffic(to: record.setup.adopt == nil ? nil : .adopted),
    ]
    for slot in Slot.allCases where record[slot] != nil {
      effects += [.claim(slot), .stop(Side(slot), wait: true), .empty(slot)]
    }
    return effects + [.removeAll, .removeState]
  }
}

extension AgentRecord {
  /// In a new boot a kept side that was adopted runs again, as long as it is kept: what was stopped is to be stopped once more.
  fileprivate mutating func noteBoot(_ now: String) {
    if bootID != now, retained == .adopted { retention?.stopped = false }
    bootID = now
  }
}
