import RolloutModel

extension HostMachine {
  mutating func acquire(_ request: LeaseRequest) throws(HostFailure) -> [HostEffect] {
    try check(request)
    guard let record else {
      self.record = AgentRecord(setup: request.setup, bootID: now.bootID)
      step = .meeting(request)
      return [.observe]
    }
    try checkChange(to: request.setup, from: record)
    if let held = record.lease, held.key.controller != request.controller, !request.takeOver,
      held.remaining(at: now) > .zero
    {
      throw leaseHeld(held)
    }
    return try grant(request)
  }

  /// An agent that is seen for the first time. One that runs or has traffic already was known once: taken for new, its live
  /// side would be stopped or lose its traffic.
  mutating func meet(_ request: LeaseRequest, _ seen: AgentObservation) throws(HostFailure) -> [HostEffect] {
    guard seen.owner?.slot == nil, !seen.blue.isActive, !seen.green.isActive else {
      throw HostFailure(
        .system,
        "agent \(agent) runs on this host (\(seen.blue.summary), \(seen.green.summary), traffic at "
          + "\(name(seen.owner))), but the record of it is lost",
        hint:
          "bring back /var/lib/switchyard/\(agent)/state from a backup, or remove the agent's units and traffic rules"
      )
    }
    return try grant(request)
  }

  private mutating func grant(_ request: LeaseRequest) throws(HostFailure) -> [HostEffect] {
    let now = now
    let effects = change { record in
      record.setup = request.setup
      record.raiseFloor(to: request.setup.floor)
      if record.lease?.key.controller != request.controller { record.epoch &+= 1 }
      record.lease = HeldLease(
        key: LeaseKey(controller: request.controller, epoch: record.epoch), holder: request.holder,
        reason: request.reason, ttl: request.ttl, bootID: now.bootID, renewed: now.moment)
      record.lastLease = IssuedLease(
        key: LeaseKey(controller: request.controller, epoch: record.epoch), reason: request.reason)
    }
    return end(try ownLease(), after: [.installProgram] + effects)
  }

  mutating func renew(_ key: LeaseKey, _ ttl: Span) throws(HostFailure) -> [HostEffect] {
    try checkKey(key)
    let now = now
    let effects = change {
      $0.lease?.ttl = ttl
      $0.lease?.bootID = now.bootID
      $0.lease?.renewed = now.moment
    }
    return end(try ownLease(), after: effects)
  }

  mutating func release(_ key: LeaseKey) throws(HostFailure) -> [HostEffect] {
    // Given back already: the same once more.
    if let record, record.lease == nil, record.epoch == key.epoch { return end(.done) }
    try checkKey(key)
    return end(
      .done,
      after: change {
        $0.lease = nil
        $0.staged = nil
      })
  }

  /// Whoever does not hold the lease changes nothing.
  @discardableResult
  func checkKey(_ key: LeaseKey) throws(HostFailure) -> AgentRecord {
    let record = try known()
    guard let held = record.lease else {
      throw HostFailure(
        .staleLease, "epoch \(key.epoch) of agent \(agent) is over: the lease was given back or overruled",
        hint: "look at the host again, then take the lease anew")
    }
    guard held.key == key else {
      throw HostFailure(
        .staleLease,
        "epoch \(key.epoch) of agent \(agent) is over: epoch \(held.key.epoch) is \(escapedForTerminal(held.holder))'s",
        hint: "another controller has taken over this host")
    }
    return record
  }

  func leaseHeld(_ held: HeldLease) -> HostFailure {
    HostFailure(
      .leaseHeld,
      "agent \(agent) on this host is being changed by \(escapedForTerminal(held.holder)) for "
        + "\"\(escapedForTerminal(held.reason))\" (epoch \(held.key.epoch), \(held.remaining(at: now)) left)",
      hint: "wait for it to end, or take over with --take-over --reason TEXT")
  }

  private func ownLease() throws(HostFailure) -> AgentAnswer {
    guard let lease = record?.lease else {
      throw HostFailure(.system, "the lease of agent \(agent) was not recorded")
    }
    return .lease(lease.lease(at: now))
  }

  private func check(_ request: LeaseRequest) throws(HostFailure) {
    let setup = request.setup
    guard setup.name == agent else {
      throw HostFailure(.invalid, "a lease for agent \(agent) came with the setup of \(setup.name)")
    }
    guard !request.controller.isEmpty, request.controller.utf8.count <= 128 else {
      throw HostFailure(.invalid, "a lease's controller has a name of 1 to 128 bytes")
    }
    var ports = [setup.slots.blue, setup.slots.green]
    if setup.traffic != .none { ports.append(setup.publicPort) }
    guard ports.allSatisfy({ (1...65535).contains($0) }), Set(ports).count == ports.count else {
      throw HostFailure(
        .invalid,
        "ports blue \(setup.slots.blue), green \(setup.slots.green), public \(setup.publicPort) "
          + "of agent \(agent) must be three different ones from 1 to 65535")
    }
  }

  /// What runs or receives traffic can't be given other ports under its feet.
  private func checkChange(to setup: AgentSetup, from record: AgentRecord) throws(HostFailure) {
    let old = record.setup
    for slot in Slot.allCases where record[slot] != nil && old.slots[slot] != setup.slots[slot] {
      throw HostFailure(
        .invalid,
        "the \(slot.rawValue) slot of agent \(agent) runs on port \(old.slots[slot]) and can't be moved to "
          + "\(setup.slots[slot])",
        hint: "keep the port, or change it while the slot is empty")
    }
    guard record.owner != nil else { return }
    guard old.publicPort == setup.publicPort, old.traffic == setup.traffic else {
      throw HostFailure(
        .invalid,
        "agent \(agent) is live on public port \(old.publicPort) through \(old.traffic.word); a change to port "
          + "\(setup.publicPort) through \(setup.traffic.word) would leave clients behind",
        hint: "keep both, or remove the agent first: switchyard hosts forget")
    }
    if record.owner == .adopted || record.retained == .adopted, old.adopt != setup.adopt {
      throw HostFailure(
        .invalid, "the adopted side of agent \(agent) is in use and can't be another one",
        hint: "keep `adopt` as it was until the adopted agent has been retired")
    }
  }
}
