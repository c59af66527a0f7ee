import Glibc
import HostMachine
import RolloutModel
import SystemdBus

/// Looks at services of the host, starts, stops and restarts them. What comes of it is what is seen afterwards.
struct ServiceControl {
  let hands: HostHands

  /// All units of Switchyard's own but the agents' slots begin so.
  private static let ownPrefix = "switchyard-"
  /// A program that was executed is up to systemd although it may end at once: it is looked on for so long.
  private static let settling = Span(milliseconds: 400)

  /// Does what is ordered. Throws where it's refused, or where nothing was done.
  func carryOut(_ order: ServiceOrder) throws(HostFailure) -> ServiceReport {
    let unit = try name(of: order.unit)
    guard order.action != .status else { return report(try look(unit), job: "", isAsAsked: true) }
    if hands.isShuttingDown() { throw .hostIsShuttingDown }
    let bounds = ServiceOrder.deadlines
    let deadline = Deadline(in: min(max(order.deadline, bounds.lowerBound), bounds.upperBound))
    guard let agent = try agent(of: unit) else {
      guard !unit.hasPrefix(Self.ownPrefix) else {
        throw HostFailure(
          .invalid, "\(unit) is Switchyard's own, and is not \(Self.past(order.action)) this way",
          hint: "use switchyard rollout and switchyard hosts, which keep the host's promises")
      }
      return try act(order.action, unit, deadline)
    }
    let folder = hands.files.state(of: agent)
    let lock = try AgentLock(folder: folder, within: deadline.remaining)
    defer { withExtendedLifetime(lock) {} }
    try requireFree(unit, agent, order.action)
    return try act(order.action, unit, deadline)
  }

  /// The unit's own name: an alias must not lead around what protects a unit.
  private func name(of unit: ServiceName) throws(HostFailure) -> String {
    let bus = try hands.bus()
    let own = try asking("looking for \(unit)") { () throws(BusError) in try bus.name(of: unit.text) }
    guard let checked = ServiceName(own) else {
      throw HostFailure(
        .invalid, "\(unit) is an alias of \(escapedForTerminal(own)), which is no plain service's name")
    }
    return checked.text
  }

  /// The agent that has this unit in a slot, or has adopted it.
  private func agent(of unit: String) throws(HostFailure) -> AgentName? {
    for agent in try knownAgents(hands.files) {
      if Slot.allCases.contains(where: { agent.unit($0) == unit }) { return agent }
      if try record(of: agent)?.setup.adopt?.unit == unit { return agent }
    }
    return nil
  }

  private func record(of agent: AgentName) throws(HostFailure) -> AgentRecord? {
    try AgentDriver(agent: agent, folder: hands.files.state(of: agent), hands: hands).load(.rescue)
  }

  /// Under the agent's lock. Nobody stops a side behind a rollout's back, nor behind the host's own.
  private func requireFree(
    _ unit: String, _ agent: AgentName, _ action: ServiceAction
  ) throws(HostFailure) {
    guard let record = try record(of: agent) else { return }
    let refused = "\(unit) of agent \(agent) can't be \(Self.past(action)) now"
    if let lease = record.lease?.lease(at: hands.now()), lease.remaining > .zero {
      throw HostFailure(
        .leaseHeld,
        "\(refused): \(escapedForTerminal(lease.holder)) has the lease for \(lease.remaining) more: "
          + escapedForTerminal(lease.reason),
        hint: "wait for the rollout's end, or end it: switchyard rollout abort")
    }
    if record.inProbation || record.flip?.phase == .reverting {
      throw HostFailure(
        .staleBelief,
        "\(refused): its latest flip is \(record.flip?.phase.rawValue ?? "") and not yet promoted",
        hint: "end that first: switchyard rollout resume, or switchyard hosts rollback")
    }
  }

  private func act(
    _ action: ServiceAction, _ unit: String, _ deadline: Deadline
  ) throws(HostFailure) -> ServiceReport {
    let before = try look(unit)
    guard before.properties.loadState != "not-found" || before.properties.activeState == "active" else {
      throw HostFailure(
        .notFound, "there is no \(unit) on this host", hint: "see systemctl list-unit-files --type=service")
    }
    let job = try job(action, unit, deadline)
    let after = try action == .stop || job != "done" ? look(unit) : settled(unit, before)
    let isAsAsked = Self.isAsAsked(
      action, UnitStatus(after.properties), type: after.type, job: job,
      isAnew: after.properties.invocation != before.properties.invocation)
    return report(after, job: job, isAsAsked: isAsAsked)
  }

  /// How the job ended; `running` where it goes on beyond the deadline.
  private func job(
    _ action: ServiceAction, _ unit: String, _ deadline: Deadline
  ) throws(HostFailure) -> String {
    let bus = try hands.bus()
    let limit = max(deadline.remaining, Span(milliseconds: 100)).duration
    do throws(BusError) {
      let result =
        switch action {
        case .stop: try bus.stop(unit, deadline: limit)
        case .restart: try restart(unit, bus, limit)
        case .start, .status: try start(unit, bus, limit)
        }
      switch result {
      case .done: return "done"
      case .failed(let word): return escapedForTerminal(word, limit: 40)
      }
    } catch  where error.kind == .timedOut {
      return "running"
    } catch {
      throw HostFailure(
        error.kind == .noSuchUnit ? .notFound : .unitFailed,
        "\(unit) can't be \(Self.past(action)): \(escapedForTerminal(error.message))")
    }
  }

  /// Whoever asks for a start by hand means it, also where the unit failed too often to be started by itself.
  private func start(_ unit: String, _ bus: SystemBus, _ limit: Duration) throws(BusError) -> JobResult {
    try bus.resetFailed(unit)
    return try bus.start(unit, deadline: limit)
  }

  private func restart(_ unit: String, _ bus: SystemBus, _ limit: Duration) throws(BusError) -> JobResult {
    try bus.resetFailed(unit)
    return try bus.restart(unit, deadline: limit)
  }

  /// The service once it has been up for a moment, or is not any more.
  private func settled(_ unit: String, _ before: ServiceState) throws(HostFailure) -> ServiceState {
    let end = Deadline(in: Self.settling)
    while true {
      let state = try look(unit)
      let isUnchanged = state.properties.invocation == before.properties.invocation
      guard !isUnchanged, state.type != "oneshot", state.properties.activeState == "active",
        state.properties.restarts == 0, !end.passed
      else { return state }
      usleep(50_000)
    }
  }

  private func look(_ unit: String) throws(HostFailure) -> ServiceState {
    let bus = try hands.bus()
    return try asking("looking at \(unit)") { () throws(BusError) in try bus.service(unit) }
  }

  private func report(_ state: ServiceState, job: String, isAsAsked: Bool) -> ServiceReport {
    let unit = UnitStatus(state.properties)
    let isKnown = state.since > 0
    return ServiceReport(
      unit: unit, type: escapedForTerminal(state.type, limit: 40),
      since: isKnown ? Int64(clamping: state.since / 1000) : nil,
      age: isKnown ? Span(milliseconds: Int64(clamping: state.age / 1000)) : nil, job: job,
      isAsAsked: isAsAsked,
      lastLines: isAsAsked ? [] : hands.lastLines(unit.unit, invocation: unit.invocation))
  }

  /// Whether a service that was looked at after an action is as it was to be.
  static func isAsAsked(
    _ action: ServiceAction, _ unit: UnitStatus, type: String, job: String, isAnew: Bool
  ) -> Bool {
    // One that does its work and ends is not there afterwards.
    let hasRun = type == "oneshot" && job == "done" && unit.result == "success"
    switch action {
    case .status: return true
    case .start: return unit.isActive || hasRun
    case .stop: return unit.activeState == "inactive" || unit.activeState == "failed"
    case .restart: return unit.isActive && isAnew || hasRun
    }
  }

  private static func past(_ action: ServiceAction) -> String {
    switch action {
    case .status: "looked at"
    case .start: "started"
    case .stop: "stopped"
    case .restart: "restarted"
    }
  }
}
