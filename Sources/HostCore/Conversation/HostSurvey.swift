import HostMachine
import RolloutModel
import SystemdBus

/// Looks at a host and writes nothing.
package struct HostSurvey {
  private let hands: HostHands

  /// A survey of a host.
  package init(hands: HostHands) { self.hands = hands }

  /// An agent as it is now. One that is not known here has empty slots.
  package func status(
    _ agent: AgentName, _ care: AgentDriver.Care = .strict
  ) throws(HostFailure) -> AgentStatus {
    let driver = AgentDriver(agent: agent, folder: hands.files.state(of: agent), hands: hands)
    guard let record = try driver.load(care) else {
      let seen = AgentObservation(
        blue: try hands.unit(agent.unit(.blue)), green: try hands.unit(agent.unit(.green)), adopted: nil,
        owner: nil, disturbance: nil)
      return unknown(seen)
    }
    let seen = try hands.observe(record)
    return record.status(seen, at: hands.now(), lastLines: lastLines(record, seen))
  }

  /// What a preflight asks.
  package func facts(_ setup: AgentSetup, user: String) throws(HostFailure) -> HostFacts {
    let kernel = SystemFacts.kernel()
    let bus = try hands.bus()
    let version = try asking("asking for systemd's version") { () throws(BusError) in try bus.version() }
    return HostFacts(
      architecture: kernel.architecture, kernel: kernel.release, system: SystemFacts.systemName(),
      systemd: Int(version.prefix(while: { $0.isASCII && $0.isNumber })) ?? 0,
      diskFree: try SystemFacts.diskFree(at: hands.store.diskPath),
      memoryAvailable: try SystemFacts.memoryAvailable(), userExists: SystemFacts.userExists(user),
      listeners: Listeners.on([setup.slots.blue, setup.slots.green, setup.publicPort]),
      foreignUnits: try hands.foreignUnits(setup),
      trafficObstacle: hands.traffic(setup).obstacle(setup), agent: try agent(setup))
  }

  /// The last lines of a side's latest run; 1 to 1000 of them.
  package func log(_ agent: AgentName, _ side: Side, lines: Int) throws(HostFailure) -> [String] {
    let driver = AgentDriver(agent: agent, folder: hands.files.state(of: agent), hands: hands)
    var unit = side.slot.map { agent.unit($0) }
    if unit == nil { unit = try driver.load(.rescue)?.setup.adopt?.unit }
    guard let unit else { throw HostFailure(.notFound, "agent \(agent) has no adopted unit here") }
    // Of its latest run alone: what an earlier release said in the same slot explains nothing.
    let invocation = try hands.unit(unit).invocation
    return hands.lastLines(unit, invocation: invocation, count: min(max(lines, 1), 1000), patience: .zero)
  }

  private func agent(_ setup: AgentSetup) throws(HostFailure) -> AgentStatus {
    let driver = AgentDriver(agent: setup.name, folder: hands.files.state(of: setup.name), hands: hands)
    guard try driver.load(.strict) == nil else { return try status(setup.name) }
    var seen = try hands.observe(setup, recordedOwner: nil)
    if setup.adopt != nil, seen.owner == nil, seen.adopted?.isActive == true { seen.owner = .adopted }
    return unknown(seen)
  }

  private func unknown(_ seen: AgentObservation) -> AgentStatus {
    let now = hands.now()
    return AgentStatus(
      bootID: now.bootID, now: now.moment, owner: seen.owner, disturbance: seen.disturbance,
      slots: [
        SlotStatus(slot: .blue, release: nil, unit: seen.blue),
        SlotStatus(slot: .green, release: nil, unit: seen.green),
      ],
      adopted: seen.adopted, flip: nil, retained: nil, lease: nil, lastLease: nil, quarantine: nil,
      refused: [], lastLines: []
    )
  }

  /// What a failed unit said last: the candidate's of an undone flip, or else that of a slot that is down.
  private func lastLines(_ record: AgentRecord, _ seen: AgentObservation) -> [String] {
    if let flip = record.flip, flip.phase == .reverted || flip.phase == .reverting, let slot = flip.to.slot {
      return hands.lastLines(record.setup.name.unit(slot), invocation: flip.invocation, patience: .zero)
    }
    for slot in Slot.allCases where record[slot]?.invocation.isEmpty == false {
      let unit = slot == .blue ? seen.blue : seen.green
      guard !unit.isActive || unit.restarts > 0, record.retention?.stopped != true else { continue }
      return hands.lastLines(unit.unit, invocation: "", patience: .zero)
    }
    return []
  }
}
