import Glibc
import HostMachine
import RolloutModel
import SystemdBus

/// A real host: systemd, files, firewall, clock. Connects to systemd when it's first needed.
package final class HostHands: Hands {
  /// Where things are.
  package let files: HostFiles
  /// The releases.
  package let store: ReleaseStore
  /// The host's boot.
  package let bootID: String
  /// Tells whoever asked that what was asked is begun.
  package var announce: () -> Void = {}
  private var connection: SystemBus?
  private let rules = NftMemory()
  /// The moment that this process armed last.
  private var armed: (agent: AgentName, moment: Moment)?

  /// How long a unit has to stop before that counts as failed; systemd kills it within its own time before that.
  private static let stopWithin = Duration.seconds(100)

  /// The host that this program runs on.
  package init(files: HostFiles = HostFiles()) throws(HostFailure) {
    self.files = files
    store = ReleaseStore(root: files.store)
    bootID = try SystemFacts.bootID()
  }

  /// The host's clock.
  package func now() -> HostNow { HostNow(bootID: bootID, moment: HostClock.now()) }

  /// The connection to systemd.
  package func bus() throws(HostFailure) -> SystemBus {
    if let connection { return connection }
    let bus = try asking("connecting to systemd") { () throws(BusError) in try SystemBus() }
    connection = bus
    return bus
  }

  /// Ends the connection until it's needed again: systemd keeps what it has to tell for one that nobody reads.
  package func letGoOfBus() { connection = nil }

  /// Whether the host is going down or rebooting. Where systemd can't be asked it isn't known to: whatever needs systemd
  /// next says what is wrong, and what doesn't may go on.
  package func isShuttingDown() -> Bool {
    do throws(HostFailure) {
      let bus = try bus()
      return try asking("asking whether the host is going down") { () throws(BusError) in
        try bus.isShuttingDown()
      }
    } catch { return false }
  }

  /// The driver of an agent's traffic.
  package func traffic(_ setup: AgentSetup) -> any Traffic { trafficDriver(for: setup, memory: rules) }

  /// Executes one effect.
  package func execute(_ effect: HostEffect, _ record: AgentRecord) throws(HostFailure) -> EffectOutcome {
    let setup = record.setup
    switch effect {
    case .installProgram: try Installation(files: files, bus: try bus()).bringUp()
    case .observe: return .observed(try observe(record))
    case .claim(let slot): try units(setup).claim(slot)
    case .requireFreePort(let slot): try requireFree(setup.slots[slot])
    case .write(let slot, let release): try write(slot, release, setup)
    case .empty(let slot):
      try units(setup).empty(slot)
      try store.unlink(setup.name, slot)
      try removeContainer(setup.name, slot)
    case .start(let side, let within): return try start(side, within, record)
    case .stop(let side, let wait): try stop(side, wait, setup)
    case .disable(let side): try disable(side, setup)
    case .measure(let release): return .have(try store.have(release.manifest))
    case .unpack(let release): try store.finish(release.manifest)
    case .collectGarbage(let keeping):
      try store.collectGarbage(setup.name, keeping: keeping)
      if keeping.isEmpty { try removeEmptyFolders(setup.name) }
    case .awaitAnswer(let side, let within): return .answer(try awaitAnswer(side, within, record))
    case .moveTraffic(let side): try traffic(setup).move(setup, to: side)
    case .armTimer(let moment): try arm(moment, setup.name)
    case .announce: announce()
    case .removeAll: try removeAll(setup)
    case .persist, .closeAgentDoor, .removeState, .reply:
      throw HostFailure(.system, "the host program executed what is the driver's own")
    }
    return .done
  }

  /// Removes an agent's state; where no agent is left, the program and its units too.
  package func removeState(of agent: AgentName) throws(HostFailure) {
    guard access(files.states, F_OK) == 0 else { return }
    try FileTree.remove(agent.text, in: try FileTree.openFolder(files.states))
    try takeDownUnused()
    // Where nothing was installed, it may have been made for the lock alone.
    try FileTree.removeIfEmpty(files.states)
  }

  /// Throws where an agent of that name runs as an ordinary unit, which nobody has told us to manage.
  package func requireUnserved(_ agent: AgentName) throws(HostFailure) {
    guard let unit = try units(["\(agent).service"]).first, unit.isActive else { return }
    throw HostFailure(
      .invalid, "an agent that Switchyard does not manage runs here, as \(unit.unit)",
      hint: "stop it first: systemctl disable --now \(unit.unit)")
  }

  /// Takes away what the way through Switchyard's own agent needs. It may have been all that still ran the program.
  package func closeAgentDoor() throws(HostFailure) {
    try AgentDoor(files: files, bus: try bus()).close()
    try takeDownUnused()
  }

  /// Removes the program and its units where neither an agent nor the way through Switchyard's own agent needs them.
  private func takeDownUnused() throws(HostFailure) {
    guard try knownAgents(files).isEmpty else { return }
    try Installation(files: files, bus: try bus()).takeDown()
  }

  /// How the agent's units and traffic are.
  package func observe(_ record: AgentRecord) throws(HostFailure) -> AgentObservation {
    try observe(record.setup, recordedOwner: record.owner)
  }

  /// The same for a setup of which nothing is recorded yet, as far as its owner goes.
  package func observe(_ setup: AgentSetup, recordedOwner: Side?) throws(HostFailure) -> AgentObservation {
    let view = look(setup)
    let names = [setup.name.unit(.blue), setup.name.unit(.green)] + (setup.adopt.map { [$0.unit] } ?? [])
    let units = try units(names)
    guard units.count == names.count else { throw HostFailure(.system, "not all units were looked at") }
    return AgentObservation(
      blue: units[0], green: units[1], adopted: units.count > 2 ? units[2] : nil,
      owner: view.isKnown ? view.owner : recordedOwner, disturbance: view.disturbance)
  }

  /// A service as systemd says it is.
  package func unit(_ name: String) throws(HostFailure) -> UnitStatus {
    guard let unit = try units([name]).first else { throw HostFailure(.system, "\(name) was not looked at") }
    return unit
  }

  private func units(_ names: [String]) throws(HostFailure) -> [UnitStatus] {
    let bus = try bus()
    let known = try asking("looking at \(names.joined(separator: ", "))") { () throws(BusError) in
      try bus.services(names)
    }
    return known.map { UnitStatus($0) }
  }

  /// A unit's last lines, escaped; none where the journal can't be read, as they only ever accompany something else.
  package func lastLines(
    _ unit: String, invocation: String, count: Int = 15, patience: Duration = .milliseconds(500)
  ) -> [String] {
    // Lines that can't be had are left out: whatever they go with is told without them.
    guard
      let lines = try? bus().lastLines(
        of: unit, invocation: invocation, count: count, patience: patience)
    else { return [] }
    return lines.map { escapedForTerminal($0) }
  }

  /// Which units of the slots' names are not ours.
  package func foreignUnits(_ setup: AgentSetup) throws(HostFailure) -> [String] {
    let units = try units(setup)
    var foreign: [String] = []
    for slot in Slot.allCases {
      if let path = try units.foreign(slot) { foreign.append(path) }
    }
    return foreign
  }
}

extension HostHands {
  /// Traffic that can't be looked at has no known owner; everything else can still be told.
  private func look(_ setup: AgentSetup) -> TrafficView {
    do throws(HostFailure) { return try traffic(setup).observe(setup) } catch {
      return TrafficView(owner: nil, disturbance: "can't be looked at: \(error.message)")
    }
  }

  /// Most operations leave the next moment as it was: then the timer is only looked at, for another process may have stopped it.
  private func arm(_ moment: Moment?, _ agent: AgentName) throws(HostFailure) {
    let timer = TickTimer(agent: agent, program: files.program, bus: try bus())
    if let moment, let armed, armed == (agent, moment), moment > now().moment, try timer.isArmed() { return }
    try timer.arm(moment)
    armed = moment.map { (agent, $0) }
  }

  private func units(_ setup: AgentSetup) throws(HostFailure) -> SlotUnits {
    SlotUnits(files: files, bus: try bus(), agent: setup.name)
  }

  private func requireFree(_ port: Int) throws(HostFailure) {
    guard let taker = Listeners.on([port]).first else { return }
    let who =
      taker.pid == 0
      ? "a process that can't be told"
      : "\(taker.command) (process \(taker.pid)\(taker.unit.isEmpty ? "" : ", \(taker.unit)"))"
    throw HostFailure(
      .portTaken, "port \(port) is taken by \(who)",
      hint: "stop that process, or give the slot another port in the agent file")
  }

  private func write(_ slot: Slot, _ release: IdentifiedRelease, _ setup: AgentSetup) throws(HostFailure) {
    guard let user = SystemFacts.user(release.manifest.user) else {
      throw HostFailure(
        .invalid, "there is no user \(release.manifest.user) on this host",
        hint: "make it, or name another one in the agent file")
    }
    let text = try SlotText(
      release.manifest, in: slot, setup: setup, root: store.path(setup.name, slot), program: files.program,
      environmentFile: "\(files.settings(of: setup.name))/\(slot.rawValue).env",
      image: try container(release.manifest, user))
    try store.link(setup.name, slot, to: release.manifest)
    try units(setup).write(text)
  }

  private func start(_ side: Side, _ within: Span, _ record: AgentRecord) throws(HostFailure) -> EffectOutcome
  {
    let setup = record.setup
    guard let name = setup.unit(of: side) else {
      throw HostFailure(.notFound, "no unit is known for \(side.rawValue)")
    }
    let waits = within > .zero
    try begin(name, Deadline(in: waits ? within : .seconds(1)))
    var status = try waits ? settled(name, side.slot.map { setup.slots[$0] }) : unit(name)
    if waits, !status.isActive, isShuttingDown() { throw .hostIsShuttingDown }
    // Of a candidate alone: what rescues must not depend on one more thing.
    if waits, status.isActive, record.owner != side, record.retained != side, let slot = side.slot,
      let release = record[slot]?.release.manifest
    {
      status = try checkImage(release, slot, status)
    }
    return .unit(status, lastLines: status.isActive ? [] : lastLines(name, invocation: status.invocation))
  }

  /// Asks systemd to start a unit and waits for the end of that. A systemd that executed itself anew in the meantime is asked
  /// once more; what it can't do says nothing of the unit.
  private func begin(_ name: String, _ deadline: Deadline) throws(HostFailure) {
    let bus = try bus()
    for isLast in [false, true] {
      do throws(BusError) {
        try bus.resetFailed(name)
        _ = try bus.start(name, deadline: max(deadline.remaining, Span(milliseconds: 100)).duration)
        return
      } catch  where error.kind == .timedOut {
        // Still on its way: what it is by now decides.
        return
      } catch {
        guard !isLast, error.kind == .disconnected else {
          if isShuttingDown() { throw .hostIsShuttingDown }
          throw HostFailure(.system, "starting \(name): \(escapedForTerminal(error.message))")
        }
      }
    }
  }

  /// A program that was executed is active to systemd although it may end at once: looks on until it listens, has ended, or
  /// takes its time.
  private func settled(_ name: String, _ port: Int?) throws(HostFailure) -> UnitStatus {
    let deadline = Deadline(in: Span(milliseconds: 400))
    while true {
      let status = try unit(name)
      guard let port, status.isActive, status.restarts == 0, !deadline.passed else { return status }
      // The port costs little to ask for, the unit much.
      for _ in 0..<5 {
        if Listeners.isTaken(port) { return try unit(name) }
        usleep(15_000)
      }
    }
  }

  private func stop(_ side: Side, _ wait: Bool, _ setup: AgentSetup) throws(HostFailure) {
    guard let name = setup.unit(of: side) else { return }
    let bus = try bus()
    let result = try asking("stopping \(name)") { () throws(BusError) in
      try bus.stop(name, deadline: Self.stopWithin, wait: wait)
    }
    if case .failed(let why) = result {
      if isShuttingDown() { throw .hostIsShuttingDown }
      throw HostFailure(.unitFailed, "stopping \(name): the job ended as \(escapedForTerminal(why))")
    }
  }

  private func disable(_ side: Side, _ setup: AgentSetup) throws(HostFailure) {
    guard side == .adopted, let name = setup.unit(of: side) else { return }
    let bus = try bus()
    try asking("disabling \(name)") { () throws(BusError) in
      // What has no file any more can't be disabled, and comes up in no boot.
      guard try !bus.file(of: name).isEmpty else { return }
      try bus.disable([name])
      try bus.reload()
    }
  }

  /// Nil once the side answers all of the agent's probes on its own port.
  private func awaitAnswer(_ side: Side, _ within: Span, _ record: AgentRecord) throws(HostFailure) -> String?
  {
    let deadline = Deadline(in: within)
    while true {
      let failure = try answerFailure(side, record, within: max(deadline.remaining, Span(milliseconds: 300)))
      if failure == nil { return nil }
      if deadline.passed {
        if isShuttingDown() { throw .hostIsShuttingDown }
        return failure
      }
      usleep(50_000)
    }
  }

  private func answerFailure(_ side: Side, _ record: AgentRecord, within: Span) throws(HostFailure) -> String?
  {
    let setup = record.setup
    guard let port = setup.port(of: side) else { return "no port is known for \(side.rawValue)" }
    if side == .adopted, let adopt = setup.adopt, try !unit(adopt.unit).isActive {
      return "\(adopt.unit) does not run"
    }
    if let slot = side.slot {
      // A probe may name a port of its own, which something else may hold.
      let name = setup.name.unit(slot)
      guard try unit(name).isActive else { return "\(name) does not run" }
      let deadline = min(within, .seconds(2))
      if let failure = LocalAnswer.tcpFailure(host: "localhost", port: port, deadline: deadline) {
        return failure
      }
    }
    for probe in setup.health {
      var filled = probe
      if let slot = side.slot, let version = record[slot]?.release.manifest.version {
        let places = Placeholders(port: port, slot: slot, version: version, host: setup.host)
        filled = probe.mapPath { places.fill($0) }
      } else if probe.path?.contains("{{") == true {
        // Nothing is known that could be filled in for an adopted agent: that it is there must do.
        filled = ProbeDefinition(question: .tcp, port: probe.port)
      }
      // An adopted agent may listen on the very port that is another side's at the moment.
      let failure = LocalAnswer.failure(
        of: filled, port: port, deadline: min(within, .seconds(2)), pastTraffic: port == setup.publicPort)
      if let failure { return failure }
    }
    return nil
  }

  /// A first install that was undone leaves the host as it was.
  private func removeEmptyFolders(_ agent: AgentName) throws(HostFailure) {
    let folders = store.folders(of: agent) + [files.settings(of: agent), files.data(of: agent)]
    for folder in folders { try FileTree.removeIfEmpty(folder) }
  }

  private func removeAll(_ setup: AgentSetup) throws(HostFailure) {
    try traffic(setup).remove(setup)
    try store.remove(setup.name)
    try FileTree.remove(setup.name.text, in: try FileTree.makeFolder(files.settings))
  }
}

extension UnitStatus {
  /// A unit as systemd says it is.
  init(_ known: UnitProperties) {
    self.init(
      unit: known.unit, loadState: known.loadState, activeState: known.activeState, subState: known.subState,
      invocation: known.invocation, restarts: known.restarts, result: known.result,
      exitStatus: known.exitStatus, mainPID: known.mainPID)
  }
}

extension ProbeDefinition {
  fileprivate var path: String? {
    switch question {
    case .http(let path), .https(let path, _): path
    case .tcp: nil
    }
  }

  fileprivate func mapPath(_ change: (String) -> String) -> ProbeDefinition {
    var copy = self
    switch question {
    case .http(let path): copy.question = .http(path: change(path))
    case .https(let path, let verify): copy.question = .https(path: change(path), verify: verify)
    case .tcp: break
    }
    return copy
  }
}
