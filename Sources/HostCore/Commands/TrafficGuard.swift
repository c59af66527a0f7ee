import Glibc
import HostMachine
import RolloutModel

/// Sees to it that each agent's recorded owner has its traffic, whoever flushes or reloads the firewall; and that what is
/// due happens although a timer was lost.
final class TrafficGuard {
  private let hands: HostHands
  private let monitor = NftMonitor()
  /// What was said of an agent last, so that a lasting fault is told once.
  private var told: [String: String] = [:]

  /// Between looks that nothing gave a reason for.
  private static let interval = Span.seconds(5)
  private static let intervalUnwatched = Span.seconds(1)
  /// How late something may be before its timer counts as lost.
  private static let grace = Span.seconds(3)

  init(hands: HostHands) { self.hands = hands }

  /// Runs until the process is ended.
  func run() throws(HostFailure) {
    // Listening comes before the first look: no change can fall between the two.
    _ = monitor.descriptor()
    while true {
      for agent in try knownAgents(hands.files) { look(agent) }
      let watched = monitor.descriptor()
      var wait = pollfd(fd: watched ?? -1, events: Int16(POLLIN), revents: 0)
      let interval = watched == nil ? Self.intervalUnwatched : Self.interval
      if poll(&wait, 1, Int32(clamping: interval.milliseconds)) > 0 {
        // One transaction of somebody's is many lines: take them together.
        usleep(20_000)
        _ = monitor.changed()
      }
    }
  }

  private func look(_ agent: AgentName) {
    do throws(HostFailure) {
      try restore(agent)
      told[agent.text] = nil
    } catch {
      if told[agent.text] != error.message { HostProgram.complain(error) }
      told[agent.text] = error.message
    }
  }

  private func restore(_ agent: AgentName) throws(HostFailure) {
    let folder = hands.files.state(of: agent)
    let driver = AgentDriver(agent: agent, folder: folder, hands: hands)
    guard let record = try driver.load(.rescue) else { return }
    let now = hands.now()
    if record.bootID != now.bootID {
      try carryOut(.boot, driver)
    } else if let due = record.nextDue(at: now), now.moment.since(due) > Self.grace {
      try carryOut(.tick, driver)
    }
    guard record.setup.traffic == .nftables, try !holds(record) else { return }
    // Under the lock it may look different: a flip was on its way.
    let lock = try AgentLock(folder: folder, within: .seconds(60))
    defer { withExtendedLifetime(lock) {} }
    guard let settled = try driver.load(.rescue),
      settled.flip?.phase != .reverting || settled.quarantine != nil,
      try !holds(settled)
    else { return }
    try hands.traffic(settled.setup).move(settled.setup, to: settled.owner)
    HostProgram.note("switchyard-host: \(agent): traffic rules were changed by somebody; restored\n")
  }

  private func holds(_ record: AgentRecord) throws(HostFailure) -> Bool {
    try hands.traffic(record.setup).holds(record.setup, owner: record.owner)
  }

  private func carryOut(_ order: AgentOrder, _ driver: AgentDriver) throws(HostFailure) {
    if case .failed(let failure) = try driver.carryOut(order, care: .rescue) { throw failure }
  }
}
