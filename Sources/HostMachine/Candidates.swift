import RolloutModel

extension HostMachine {
  mutating func stage(_ key: LeaseKey, _ release: IdentifiedRelease) throws(HostFailure) -> [HostEffect] {
    let record = try checkKey(key)
    try checkMayTry(release, record)
    step = .measuring
    let intent = record.staged == release ? [] : change { $0.staged = release }
    return intent + [.measure(release)]
  }

  mutating func stageEnd(
    _ key: LeaseKey, _ release: IdentifiedRelease
  ) throws(HostFailure) -> [HostEffect] {
    try checkMayTry(release, try checkKey(key))
    return end(.status, after: [.unpack(release)])
  }

  mutating func start(
    _ key: LeaseKey, _ slot: Slot, _ release: IdentifiedRelease, _ deadline: Span
  ) throws(HostFailure) -> [HostEffect] {
    let record = try checkKey(key)
    try checkMayTry(release, record)
    guard deadline > .zero else { throw HostFailure(.invalid, "a start needs a deadline above 0") }
    try checkReplaceable(slot, record)
    step = .claiming(slot, release, deadline: deadline)
    return [.claim(slot), .observe]
  }

  mutating func fill(
    _ slot: Slot, _ release: IdentifiedRelease, _ deadline: Span, _ seen: AgentObservation
  ) throws(HostFailure) -> [HostEffect] {
    let now = now
    let side = Side(slot)
    // One that is drained from an earlier try is about to be stopped: it is started anew.
    let isLeaving = record?.drains.contains { $0.side == side } ?? false
    if !isLeaving, let filled = record?[slot], filled.release.digest == release.digest,
      filled.bootID == now.bootID, !filled.invocation.isEmpty,
      seen[side]?.runs(filled.invocation) == true
    {
      return end(.status)
    }
    step = .starting(slot)
    let intent = change { record in
      record[slot] = SlotRecord(release: release, bootID: now.bootID, invocation: "")
      record.staged = nil
      record.letGo(of: side)
    }
    return intent + [
      .stop(side, wait: true), .requireFreePort(slot), .write(slot, release),
      .start(side, within: deadline),
    ]
  }

  mutating func started(_ slot: Slot, _ unit: UnitStatus, _ lastLines: [String]) -> [HostEffect] {
    guard unit.isActive, unit.restarts == 0, !unit.invocation.isEmpty else {
      return giveUp(
        slot,
        HostFailure(
          .unitFailed, "the candidate did not come up: \(unit.summary)",
          hint: lastLines.isEmpty ? "" : "its last lines say more", lastLines: lastLines))
    }
    return end(.status, after: change { $0[slot]?.invocation = unit.invocation })
  }

  /// A candidate that failed is stopped and cleaned away; what it was started for is answered with the failure.
  mutating func giveUp(_ slot: Slot, _ failure: HostFailure) -> [HostEffect] {
    step = .givingUp(failure)
    return [.stop(Side(slot), wait: true), .empty(slot)] + change { $0[slot] = nil }
  }

  mutating func discard(
    _ key: LeaseKey, _ slot: Slot, _ release: Digest?, refuse: Bool
  ) throws(HostFailure) -> [HostEffect] {
    let record = try checkKey(key)
    // A start that failed has emptied the slot already: then the name tells what it was.
    let blamed = refuse ? release ?? record[slot]?.release.digest ?? record.staged?.digest : nil
    // It's being drained after a revert, and emptied at the end of that.
    if record.drains.contains(where: { $0.side == Side(slot) && $0.empties }) {
      return end(.status, after: refused(blamed))
    }
    try checkReplaceable(slot, record)
    guard record[slot] != nil else {
      // What was staged for it goes all the same.
      let effects = refused(blamed) + (record.staged == nil ? [] : change { $0.staged = nil })
      return end(.status, after: effects + [.collectGarbage(keeping: self.record?.manifests ?? [])])
    }
    step = .emptying(slot)
    return refused(blamed) + [.claim(slot), .stop(Side(slot), wait: true), .empty(slot)]
  }

  private mutating func refused(_ release: Digest?) -> [HostEffect] {
    guard let release, record?.refused.contains(release) == false else { return [] }
    return change { $0.refuse(release) }
  }

  mutating func emptied(_ slot: Slot) -> [HostEffect] {
    let effects = change { record in
      record[slot] = nil
      record.staged = nil
      record.letGo(of: Side(slot))
    }
    return end(.status, after: effects + [.collectGarbage(keeping: record?.manifests ?? [])])
  }

  private func checkMayTry(_ release: IdentifiedRelease, _ record: AgentRecord) throws(HostFailure) {
    guard release.manifest.agent == agent else {
      throw HostFailure(.invalid, "a release of \(release.manifest.agent) is none of agent \(agent)")
    }
    try checkNotQuarantined(record)
    guard !record.refused.contains(release.digest) else {
      throw HostFailure(
        .refusedRelease,
        "\(release.manifest.version) (\(release.digest.short)) was rolled back on this host before",
        hint: "a person may allow it again: switchyard hosts clear")
    }
    if let obstacle = HostFloor(version: record.floor, lastGood: record.lastGood?.digest).obstacle(release) {
      throw HostFailure(
        .refusedRelease, "agent \(agent): \(obstacle)",
        hint: "roll out a later version; a person may lift the floor: switchyard hosts clear")
    }
  }

  func checkNotQuarantined(_ record: AgentRecord) throws(HostFailure) {
    if let why = record.quarantine {
      throw HostFailure(
        .quarantined, "agent \(agent) is quarantined on this host: \(why)",
        hint: "repair it, then: switchyard hosts clear")
    }
  }

  /// What serves, what rollback needs and what connections may still use is not taken away.
  private func checkReplaceable(_ slot: Slot, _ record: AgentRecord) throws(HostFailure) {
    let side = Side(slot)
    guard record.owner != side else {
      throw HostFailure(.invalid, "the \(slot.rawValue) slot of agent \(agent) receives traffic and stays")
    }
    if record.retained == side {
      let flipOver = record.flip?.phase == .promoted
      let rolloutOver =
        record.retention != nil || (record.flip?.epoch ?? 0) < (record.lease?.key.epoch ?? 0)
      guard flipOver, rolloutOver else {
        throw HostFailure(
          .invalid, "the \(slot.rawValue) slot of agent \(agent) is kept for rollback",
          hint: "promote and end the rollout that keeps it, or roll it back")
      }
    }
    guard !record.isDraining(side, at: now) else {
      throw HostFailure(
        .draining,
        "the \(slot.rawValue) slot of agent \(agent) lost traffic a moment ago and may have open connections",
        hint: "try again after the agent's drain time, \(record.setup.drain)")
    }
  }
}

extension AgentRecord {
  /// The side is no rollback target any more.
  mutating func letGo(of side: Side) {
    drains.removeAll { $0.side == side }
    if retained == side {
      retained = nil
      retention = nil
    }
  }
}
