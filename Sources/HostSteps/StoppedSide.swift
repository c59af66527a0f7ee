import HostProtocol
import Ports
import RolloutModel

/// A live side that somebody has stopped. It is the way back: before anything else is changed it's started, and seen healthy.
extension StepRunner {
  /// Whether a side was stopped on request. One that has failed is another matter: starting it anew proves nothing.
  func isStopped(_ side: Side, _ status: AgentStatus) -> Bool {
    guard let slot = side.slot.flatMap(status.slot), slot.release != nil else { return false }
    return slot.unit.loadState == "loaded" && slot.unit.activeState == "inactive"
      && slot.unit.result == "success"
  }

  /// Sees the live side healthy where the preflight found it stopped, and starts it where it still is. Comes before the lease: as
  /// long as nobody has it, the host starts and stops agents for whoever asks, and it refuses where another controller has it.
  func startStopped() async throws(StepFailure) {
    guard known.isStopped == true, let from = known.from, let slot = from.slot,
      let unit = ServiceName(agent.unit(slot))
    else { return }
    let status = try await session.observe()
    let starts = isStopped(from, status)
    if starts {
      note("starts the \(slot.rawValue) slot, which was stopped: without it there would be no way back")
      let report = try await order(.start, unit)
      guard report.isAsAsked else {
        try await stopAgain(unit)
        throw noWayBack("the live version was stopped and does not start", report.lastLines)
      }
    }
    if let problem = try await awaitHealth(of: from, version: status.slot(slot)?.release?.manifest.version) {
      if starts { try await stopAgain(unit) }
      throw noWayBack("\(problem), though it was started", [])
    }
  }

  /// A side that was found stopped, and did not come to serve beside a new version, need not serve now: it stays stopped, or goes on
  /// where it is well.
  func leaveAsFound(_ side: Side) async throws(StepFailure) {
    let status = try await session.observe()
    guard let slot = side.slot, let unit = ServiceName(agent.unit(slot)), !isStopped(side, status) else {
      return
    }
    let version = status.slot(slot)?.release?.manifest.version
    if try await unhealthy(side, version: version).first != nil { try await stopAgain(unit) }
  }

  private func order(_ action: ServiceAction, _ unit: ServiceName) async throws(StepFailure) -> ServiceReport
  {
    let deadline = max(plan.policy.gate.deadline, .seconds(30))
    let asked = HostRequest.service(ServiceOrder(unit: unit, action: action, deadline: deadline))
    guard case .service(let report) = try await session.ask(asked, within: deadline.duration + .seconds(30))
    else { throw .wrongReply }
    return report
  }

  /// The host is left as it was found: a unit that can't start would try again and again.
  private func stopAgain(_ unit: ServiceName) async throws(StepFailure) {
    note("stops it again")
    _ = try await order(.stop, unit)
  }

  /// Why the side is not healthy though it was given time; nil where it is.
  private func awaitHealth(of side: Side, version: Version?) async throws(StepFailure) -> String? {
    let patience = time.now + plan.policy.gate.deadline
    while let problem = try await unhealthy(side, version: version).first {
      guard time.now < patience, await pause(plan.policy.gate.interval) else { return problem }
    }
    return nil
  }

  private func noWayBack(_ why: String, _ lastLines: [String]) -> StepFailure {
    StepFailure(
      .precondition, "\(why), so there would be no way back",
      hint:
        "nothing was changed on the host; see to that version there, or uninstall the agent and install it anew",
      lastLines: lastLines)
  }
}
