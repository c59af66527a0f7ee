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
  /// What is done for agents that are late, each of them by a process of its own: traffic is watched meanwhile.
  private var atWork: [AgentName: (process: ChildProcess, limit: Deadline)] = [:]
  /// Whether an agent's lock was held by another operation, so that it must be looked at again soon.
  private var busy = false

  /// Between looks that nothing gave a reason for.
  private static let interval = Span.seconds(5)
  private static let intervalUnwatched = Span.seconds(1)
  private static let intervalBusy = Span(milliseconds: 200)
  /// What is late may take that long; no operation of the host's own does.
  private static let workWithin = Span.seconds(600)
  /// How long one agent's lock is waited for while others may need something.
  private static let patience = Span(milliseconds: 200)
  /// How late something may be before its timer counts as lost.
  private static let grace = Span.seconds(3)

  init(hands: HostHands) { self.hands = hands }

  /// Runs until the process is ended.
  func run() throws(HostFailure) {
    // Listening comes before the first look: no change can fall between the two.
    _ = monitor.descriptor()
    while true {
      let busy = try round()
      let watched = monitor.descriptor()
      let interval =
        busy
        ? Self.intervalBusy : watched == nil || !atWork.isEmpty ? Self.intervalUnwatched : Self.interval
      if EndSignal.poll(watched ?? -1, Int16(POLLIN), limit: Int32(clamping: interval.milliseconds)) > 0 {
        // One transaction of somebody's is many lines: take them together.
        usleep(20_000)
        _ = monitor.changed()
      }
    }
  }

  /// One look at all agents; true where one of them must be looked at again soon.
  func round() throws(HostFailure) -> Bool {
    let agents = try knownAgents(hands.files)
    busy = false
    atWork = atWork.filter { agents.contains($0.key) }
    // Every agent's traffic first.
    for agent in agents { look(agent, "traffic", restore) }
    for agent in agents { look(agent, "what is due", catchUp) }
    hands.letGoOfBus()
    return busy
  }

  /// `work` says whether all was seen to be well; what is under way is neither well nor a fault.
  private func look(
    _ agent: AgentName, _ what: String, _ work: (AgentName) throws(HostFailure) -> Bool
  ) {
    let topic = "\(agent): \(what)"
    do throws(HostFailure) {
      if try work(agent) { told[topic] = nil }
    } catch {
      let words = ([error.message] + error.lastLines).joined(separator: "\n")
      if told[topic] != words { HostProgram.complain(error) }
      told[topic] = words
    }
  }

  /// Has done what is late: its timer was lost, or the boot's restore did not run.
  private func catchUp(_ agent: AgentName) throws(HostFailure) -> Bool {
    if let work = atWork[agent] {
      guard let status = work.process.exited() else {
        guard work.limit.passed else { return false }
        atWork[agent] = nil
        throw HostFailure(.deadline, "what was due for agent \(agent) took too long and was given up")
      }
      atWork[agent] = nil
      guard status.isSuccess else { throw try Self.failure(agent, work.process, status) }
    }
    guard let record = try driver(agent).load(.rescue) else { return true }
    let now = hands.now()
    let verb: String
    if record.bootID != now.bootID {
      verb = "restore"
    } else if let due = record.nextDue(at: now), now.moment.since(due) > Self.grace {
      verb = "tick"
    } else {
      return true
    }
    // Another operation has the agent: what is due may be done with it.
    let isFree = try unlessHeld { () throws(HostFailure) in
      try AgentLock(folder: hands.files.state(of: agent), within: .zero)
    }
    guard isFree != nil else {
      busy = true
      return false
    }
    let process = try ChildProcess([hands.files.program, verb, agent.text])
    atWork[agent] = (process, Deadline(in: Self.workWithin))
    return false
  }

  private static func failure(
    _ agent: AgentName, _ work: ChildProcess, _ status: ExitStatus
  ) throws(HostFailure) -> HostFailure {
    let said = try readOnce(work.errors.number, limit: 8192, what: "reading from \(work.name)") ?? []
    return HostFailure(
      .system, "what was due for agent \(agent) was not done: \(status)",
      lastLines: String(decoding: said, as: UTF8.self).split(whereSeparator: \.isNewline).map {
        escapedForTerminal($0, limit: 300)
      })
  }

  /// After a boot the record may name a side that is not to be served any more: what restores then is the boot itself.
  private func restore(_ agent: AgentName) throws(HostFailure) -> Bool {
    let driver = driver(agent)
    let folder = hands.files.state(of: agent)
    guard let record = try driver.load(.rescue), record.bootID == hands.bootID,
      record.setup.traffic == .nftables, try !holds(record)
    else { return true }
    // Under a lock it may look different: a flip was on its way. An operation that takes long holds the agent's own, but the
    // other one only while it moves traffic.
    let own = try unlessHeld { () throws(HostFailure) in try AgentLock(folder: folder, within: .zero) }
    let lock = try unlessHeld { () throws(HostFailure) in
      try AgentLock(trafficOf: folder, within: Self.patience)
    }
    guard let traffic = lock else {
      busy = true
      return false
    }
    defer { withExtendedLifetime((own, traffic)) {} }
    guard let settled = try driver.load(.rescue), settled.bootID == hands.bootID,
      settled.setup.traffic == .nftables, mayMove(settled, alone: own != nil), try !holds(settled)
    else { return true }
    try hands.traffic(settled.setup).move(settled.setup, to: settled.owner)
    HostProgram.note("switchyard-host: \(agent): traffic rules were changed by somebody; restored\n")
    return true
  }

  /// While a revert is on its way the record does not say where traffic is to be; one that got stuck leaves it where it was.
  private func mayMove(_ record: AgentRecord, alone: Bool) -> Bool {
    record.flip?.phase != .reverting || (alone && record.quarantine != nil)
  }

  private func driver(_ agent: AgentName) -> AgentDriver {
    AgentDriver(agent: agent, folder: hands.files.state(of: agent), hands: hands)
  }

  private func holds(_ record: AgentRecord) throws(HostFailure) -> Bool {
    try hands.traffic(record.setup).holds(record.setup, owner: record.owner)
  }

  /// Nil where another operation has the lock: the other agents first, then once more.
  private func unlessHeld<Value>(_ body: () throws(HostFailure) -> Value) throws(HostFailure) -> Value? {
    do throws(HostFailure) { return try body() } catch {
      guard error.code == .deadline else { throw error }
      return nil
    }
  }
}
