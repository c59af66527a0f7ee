import RolloutModel
import SystemdBus

/// Has `switchyard-host tick AGENT` run at a moment. A tick too many does nothing, so only a missing one matters.
struct TickTimer {
  let agent: AgentName
  let program: String
  let bus: SystemBus

  /// Two names: a tick that is running sets the next one.
  private var names: [String] { ["switchyard-tick-\(agent)", "switchyard-next-\(agent)"] }

  /// Whether a tick is to come.
  func isArmed() throws(HostFailure) -> Bool {
    for name in names
    where try asking(
      "looking at \(name).timer", { () throws(BusError) in try bus.isRunning("\(name).timer") })
    {
      return true
    }
    return false
  }

  /// Replaces the moment named before; nil: no more ticks.
  func arm(_ moment: Moment?) throws(HostFailure) {
    guard let moment else {
      for name in names {
        try asking("stopping \(name).timer") { () throws(BusError) in try bus.stopTransientTimer(name) }
      }
      return
    }
    let delay = UInt64(max(moment.since(HostClock.now()).milliseconds, 1)) * 1000
    for name in names where try start(name, delay) { return }
    // Both are running, waiting for the lock that this operation holds: whichever comes last sets the next one.
  }

  /// False where a tick of this name is running.
  private func start(_ name: String, _ delay: UInt64) throws(HostFailure) -> Bool {
    do throws(BusError) {
      try bus.startTransientTimer(
        name, afterMicroseconds: delay, argv: [program, "tick", agent.text],
        description: "Switchyard: what is due for agent \(agent)")
      return true
    } catch {
      guard error.kind != .unitExists else { return false }
      throw HostFailure(.system, "arming \(name).timer: \(escapedForTerminal(error.message))")
    }
  }
}
