import RolloutModel

extension HostMachine {
  /// The most time that may pass between a gate and the flip that relies on it.
  static let gateValidity = Span.seconds(60)
  /// The longest that an unconfirmed flip may stand.
  static let longestConfirm = Span.seconds(3600)

  mutating func flip(_ key: LeaseKey, _ order: FlipOrder) throws(HostFailure) -> [HostEffect] {
    let record = try checkKey(key)
    guard order.agent == agent else {
      throw HostFailure(.invalid, "a flip of \(order.agent) is none of agent \(agent)")
    }
    if let flip = record.flip, flip.flip == order.flip { return try again(flip, order) }
    try checkNotQuarantined(record)
    if let flip = record.flip, flip.phase != .promoted, flip.phase != .reverted {
      throw belief("flip \(escapedForTerminal(flip.flip)) is still \(flip.phase.rawValue)")
    }
    guard !order.flip.isEmpty, order.flip.utf8.count <= 128 else {
      throw HostFailure(.invalid, "a flip's name has 1 to 128 bytes")
    }
    guard order.confirmWithin > .zero, order.confirmWithin <= HostMachine.longestConfirm else {
      throw HostFailure(
        .invalid, "a flip must be confirmed within more than 0 and at most \(HostMachine.longestConfirm)")
    }
    guard order.gateAge <= HostMachine.gateValidity else {
      throw belief(
        "the gate passed \(order.gateAge) ago; a flip relies on one of the last \(HostMachine.gateValidity)")
    }
    guard order.bootID == now.bootID else { throw belief("the host has booted since the gate passed") }
    guard record.owner == order.from, order.from != Side(order.to) else {
      throw belief("traffic is at \(name(record.owner)), not at \(name(order.from))")
    }
    guard let filled = record[order.to], filled.release.digest == order.release else {
      throw belief("the \(order.to.rawValue) slot does not hold release \(order.release.short)")
    }
    guard filled.bootID == now.bootID, !filled.invocation.isEmpty, filled.invocation == order.invocation
    else {
      throw belief("the \(order.to.rawValue) unit has been started anew since the gate passed")
    }
    guard !record.refused.contains(order.release) else {
      throw HostFailure(.refusedRelease, "release \(order.release.short) was rolled back on this host before")
    }
    step = .checkingFlip(order)
    return [.observe]
  }

  /// The same flip once more: what of it is not done is done now.
  private mutating func again(_ flip: FlipRecord, _ order: FlipOrder) throws(HostFailure) -> [HostEffect] {
    guard flip.to == Side(order.to), flip.from == order.from, flip.release == order.release else {
      throw belief("flip \(escapedForTerminal(order.flip)) was another one")
    }
    switch flip.phase {
    case .armed:
      step = .flipping
      return [rearm, .moveTraffic(to: flip.to)]
    case .confirmed, .promoted: return end(.status)
    case .reverting, .reverted: throw gone(flip)
    }
  }

  mutating func arm(_ order: FlipOrder, _ seen: AgentObservation) throws(HostFailure) -> [HostEffect] {
    let to = Side(order.to)
    guard let unit = seen[to], unit.runs(order.invocation) else {
      throw belief("the candidate is not as it was at the gate: \(seen[to]?.summary ?? "no unit")")
    }
    if let owner = seen.owner, owner != order.from {
      throw belief("traffic reaches \(name(owner)), not \(name(order.from))")
    }
    let now = now
    let epoch = record?.lease?.key.epoch ?? 0
    let record = change { record in
      record.flip = FlipRecord(
        flip: order.flip, epoch: epoch, from: order.from, to: to, release: order.release,
        bootID: now.bootID, invocation: order.invocation, deadline: now.moment + order.confirmWithin,
        phase: .armed)
      record.owner = to
      record.retained = order.from
      record.retention = nil
      record.retry = nil
      record.drains.removeAll { $0.side == to || $0.side == order.from }
      if let from = order.from {
        record.drains.append(
          Drain(side: from, until: HostDeadline(now, plus: record.setup.drain), empties: false))
      }
    }
    step = .flipping
    // The timer comes first: alone it does no harm, but an armed flip without one would stand for ever.
    return [rearm] + record + [.moveTraffic(to: to)]
  }

  mutating func flipFailed(_ failure: HostFailure) -> [HostEffect] {
    undo(Undo(reason: "the flip failed: \(failure.message)", refuse: false, then: .answer(.failed(failure))))
  }

  mutating func confirm(_ key: LeaseKey, _ name: String) throws(HostFailure) -> [HostEffect] {
    switch try named(name, try checkKey(key)).phase {
    case .confirmed, .promoted: return end(.status)
    default:
      step = .checkingConfirm
      return [.observe]
    }
  }

  mutating func confirmed(_ seen: AgentObservation) throws(HostFailure) -> [HostEffect] {
    try checkServing(seen)
    let effects = change { $0.flip?.phase = .confirmed }
    return end(.status, after: effects + [rearm])
  }

  mutating func promote(_ key: LeaseKey, _ name: String) throws(HostFailure) -> [HostEffect] {
    switch try named(name, try checkKey(key)).phase {
    case .promoted: return end(.status)
    case .armed: throw belief("flip \(escapedForTerminal(name)) has not been confirmed")
    default:
      step = .checkingPromote
      return [.observe]
    }
  }

  mutating func promoted(_ seen: AgentObservation) throws(HostFailure) -> [HostEffect] {
    try checkServing(seen)
    let effects = change { record in
      record.flip?.phase = .promoted
      if let slot = record.flip?.to.slot { record.lastGood = record[slot]?.release }
    }
    return end(.status, after: effects + [rearm])
  }

  mutating func retain(_ key: LeaseKey, _ retention: Retention) throws(HostFailure) -> [HostEffect] {
    let record = try checkKey(key)
    if let flip = record.flip, flip.from == nil, flip.phase == .promoted {
      guard record.settledInstall != flip.flip else { return end(.status) }
      return end(.status, after: change { $0.settledInstall = flip.flip })
    }
    guard record.retained != nil, record.retention == nil, record.flip?.phase == .promoted else {
      return end(.status)
    }
    let now = now
    let effects = change { $0.retention = RetentionClock(retention, now: now) }
    // What was in the slot before the candidate is nobody's any more.
    return end(.status, after: effects + [rearm, .collectGarbage(keeping: self.record?.manifests ?? [])])
  }

  /// The flip of that name, as long as it stands.
  func named(_ name: String, _ record: AgentRecord) throws(HostFailure) -> FlipRecord {
    guard let flip = record.flip, flip.flip == name else {
      throw HostFailure(
        .flipGone, "the latest flip of agent \(agent) is not \(escapedForTerminal(name))",
        hint: "look at the host again")
    }
    guard flip.phase != .reverting, flip.phase != .reverted else { throw gone(flip) }
    return flip
  }

  func gone(_ flip: FlipRecord) -> HostFailure {
    HostFailure(
      .flipGone,
      "flip \(escapedForTerminal(flip.flip)) is \(flip.phase.rawValue): \(flip.reason ?? "no reason recorded")",
      hint: "look at the host again")
  }

  func belief(_ why: String) -> HostFailure {
    HostFailure(.staleBelief, "agent \(agent): \(why)", hint: "look at the host again")
  }

  func name(_ side: Side?) -> String { side?.rawValue ?? "no side" }

  private func checkServing(_ seen: AgentObservation) throws(HostFailure) {
    guard let flip = record?.flip, let unit = seen[flip.to] else { throw belief("there is no flip") }
    guard unit.runs(flip.invocation) else {
      throw HostFailure(.unitFailed, "the candidate is not as it was at the gate: \(unit.summary)")
    }
    // Unknown is not healthy: what can't be looked at has no owner here.
    guard seen.owner == flip.to else {
      throw belief("traffic reaches \(name(seen.owner)), not \(name(flip.to))")
    }
    if let disturbance = seen.disturbance { throw belief("traffic is disturbed: \(disturbance)") }
  }
}
