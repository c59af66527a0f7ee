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

  /// Starts the live side where it is stopped. Comes before the lease: as long as nobody has it, the host starts and stops agents
  /// for whoever asks; and it refuses where another controller has it.
  func startStopped() async throws(StepFailure) {
    guard let from = known.from, let slot = from.slot, let unit = ServiceName(agent.unit(slot)) else {
      return
    }
    let status = try await session.observe()
    guard isStopped(from, status) else { return }
    note("starts the \(slot.rawValue) slot, which was stopped: without it there would be no way back")
    let deadline = max(plan.policy.gate.deadline, .seconds(30))
    let order = ServiceOrder(unit: unit, action: .start, deadline: deadline)
    guard
      case .service(let report) = try await session.ask(
        .service(order), within: deadline.duration + .seconds(30))
    else { throw .wrongReply }
    guard report.isAsAsked else {
      throw StepFailure(
        .host, "the live version was stopped and does not start, so there would be no way back",
        hint: "see to it on the host, or take the agent away there and install it anew",
        lastLines: report.lastLines)
    }
    try await awaitHealth(of: from, version: status.slot(slot)?.release?.manifest.version)
  }

  private func awaitHealth(of side: Side, version: Version?) async throws(StepFailure) {
    let patience = time.now + plan.policy.gate.deadline
    while let problem = try await unhealthy(side, version: version).first {
      guard time.now < patience, await pause(plan.policy.gate.interval) else {
        throw StepFailure(
          .host, "\(problem), though it was started, so there would be no way back",
          hint: "nothing else was changed on the host")
      }
    }
  }
}
