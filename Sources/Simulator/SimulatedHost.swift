import HostMachine
import HostProtocol
import RolloutModel

/// A host as it really is: disk, units, firewall, clock. Carries out what its machine decides.
final class SimulatedHost {
  /// A systemd unit.
  struct Unit {
    var isActive = false
    var since: Int64 = 0
    var invocation = ""
    var restarts = 0
    /// The release that it was started from.
    var release: IdentifiedRelease?
    /// It was told to be broken for good.
    var isBroken = false
  }

  unowned let world: SimulatedWorld
  let index: Int
  let agent: AgentName
  var behaviours: [Digest: Behaviour] = [:]
  var isUp = true
  var isCut = false
  /// A firewall of the host drops the slots' own ports from outside, redirected ones too.
  var isDropping = false
  var disk: AgentRecord? {
    didSet { world.judge.touched(self) }
  }
  /// A loss of power has left no record that can be read.
  private var isRecordTorn = false
  var store: Set<Digest> = []
  var written: [Slot: IdentifiedRelease] = [:]
  var traffic: Side? {
    didSet { world.judge.touched(self) }
  }
  var bootID = "boot-1"
  var bootedAt: Int64
  private var units: [Side: Unit] = [:]
  private var boots = 1
  private var starts = 0
  /// What an earlier rollout has made this host's floor.
  var floor: Version?
  /// Whether the new release is bad here.
  var isIll = false
  /// When clients first got the new release.
  private(set) var exposedAt: Int64?
  /// How often traffic was moved.
  private(set) var moves = 0
  private var timer: (at: Moment, token: Int)?
  private var timers = 0
  /// The release that `start` or `stage` is about: a stopped drained side may be another.
  private(set) var isInOperation = false

  init(_ index: Int, agent: AgentName, world: SimulatedWorld) {
    self.index = index
    self.agent = agent
    self.world = world
    bootedAt = world.now - 100_000
  }

  var clock: HostNow { HostNow(bootID: bootID, moment: Moment(milliseconds: world.now - bootedAt)) }

  subscript(side: Side) -> Unit {
    get { units[side] ?? Unit() }
    set { units[side] = newValue }
  }

  /// What a side would answer now.
  enum Health: Hashable {
    case healthy(version: String)
    case sick
    case silent
  }

  func health(_ side: Side) -> Health {
    let unit = self[side]
    guard isUp, unit.isActive, let release = unit.release else { return .silent }
    let age = world.now - unit.since
    let version = release.manifest.version.text
    if world.isDependencyDown { return .sick }
    switch behaviours[release.digest] ?? .good {
    case .good, .crashes: return .healthy(version: version)
    case .neverHealthy: return .sick
    case .exits, .hangs: return .silent
    case .slowStart(let after): return age < after ? .silent : .healthy(version: version)
    case .wrongVersion: return .healthy(version: "0.0.0-wrong")
    case .flapping(let turn): return (age / turn) % 2 == 0 ? .healthy(version: version) : .sick
    case .sickens(let after): return age < after ? .healthy(version: version) : .sick
    }
  }

  /// Whether clients get an answer from a side, whatever it says.
  func serves(_ side: Side) -> Bool { health(side) != .silent }

  /// Becomes as another host is, which has been set up for the same agent and awaits nothing.
  func takeOn(_ other: SimulatedHost, _ setup: AgentSetup) {
    units = other.units
    starts = other.starts
    store = other.store
    written = other.written
    disk = other.disk
    disk?.setup = setup
    traffic = other.traffic
    moves = other.moves
  }

  // MARK: Operations

  /// Carries an operation out; nil where the program was killed in its midst.
  @discardableResult
  func carryOut(_ order: AgentOrder) -> AgentAnswer? {
    guard isUp else { return nil }
    isInOperation = true
    defer {
      isInOperation = false
      world.judge.look(at: self)
    }
    guard !isRecordTorn else { return .failed(HostFailure(.system, "the agent's state is damaged")) }
    var record = disk
    if world.bugs.contains(.epochIgnored) { record?.overlook(order) }
    if world.bugs.contains(.refusalForgotten) { record?.refused = [] }
    if world.bugs.contains(.floorForgotten) { record?.floor = nil }
    var machine = HostMachine(agent: agent, record: record, now: clock)
    var event = HostEvent.order(order)
    for _ in 0..<100 {
      let effects = machine.handle(event, at: clock)
      event = .outcome(.done)
      for effect in effects {
        if case .reply(let answer) = effect { return answer }
        if world.strikes(.programKilled) {
          world.note("h\(index) the host program is killed before \(effect.word)")
          return nil
        }
        do throws(HostFailure) {
          event = .outcome(try execute(effect))
          guard isUp else { return nil }
        } catch {
          if case .persist = effect { event = .notRecorded(error) } else { event = .failed(error) }
          break
        }
      }
    }
    world.judge.fail(.twice, "h\(index): an operation came to no end: \(order)")
    return nil
  }

  private func execute(_ effect: HostEffect) throws(HostFailure) -> EffectOutcome {
    if world.strikes(.effectFails), effect.mayFail {
      world.note("h\(index) \(effect.word) fails")
      throw HostFailure(.system, "the bus did not answer")
    }
    switch effect {
    case .persist(let record): persist(record)
    case .installProgram, .collectGarbage: break
    case .observe: return .observed(observation)
    case .claim, .disable: break
    case .requireFreePort(let slot):
      if world.strikes(.portTaken) { throw HostFailure(.portTaken, "port of \(slot.rawValue) is taken") }
    case .write(let slot, let release):
      world.judge.written(self, slot, release)
      written[slot] = release
    case .empty(let slot):
      world.judge.emptied(self, slot)
      written[slot] = nil
    case .start(let side, let within): return start(side, waits: within > .zero)
    case .stop(let side, _): stop(side)
    case .measure(let release):
      return .have(store.contains(release.digest) ? release.manifest.archiveBytes : 0)
    case .unpack(let release):
      if world.strikes(.diskFull) { throw HostFailure(.diskFull, "no room") }
      store.insert(release.digest)
    case .awaitAnswer(let side, _):
      let answers = serves(side) || world.bugs.contains(.deadSideAnswers)
      return .answer(answers ? nil : "no answer")
    case .moveTraffic(let side): move(to: side)
    case .armTimer(let moment): arm(moment)
    case .closeAgentDoor, .announce, .removeAll, .reply: break
    case .removeState: disk = nil
    }
    return .done
  }

  private func persist(_ record: AgentRecord) {
    if world.bugs.contains(.recordNotPersisted), record.flip?.phase == .armed { return }
    if world.strikes(.hostPowerLost), !losePower(writing: record) { return }
    world.judge.persisted(self, from: disk, to: record)
    if let flip = record.flip, flip != disk?.flip {
      world.note("h\(index) flip \(flip.flip) is \(flip.phase.rawValue): \(flip.reason ?? "")")
    }
    let isConfirmed = record.flip?.phase == .confirmed && disk?.flip?.phase == .armed
    disk = record
    if isConfirmed, world.bugs.contains(.retainedStopped), let retained = record.retained { stop(retained) }
  }

  private func move(to side: Side?) {
    world.judge.moving(self, to: side)
    if traffic != side { moves += 1 }
    if let slot = side?.slot, written[slot]?.digest == world.judge.newDigest {
      exposedAt = exposedAt ?? world.now
    }
    world.note("h\(index) traffic \(traffic?.rawValue ?? "-") → \(side?.rawValue ?? "-")")
    traffic = side
  }

  private func arm(_ moment: Moment?) {
    if world.bugs.contains(.timerForgotten) { return }
    timers += 1
    let token = timers
    timer = moment.map { ($0, token) }
    guard let moment else { return }
    let wait = moment.since(clock.moment).milliseconds
    let boot = bootID
    world.machinery.after(wait + 5) { [weak self] in
      guard let self, bootID == boot, timer?.token == token else { return }
      timer = nil
      carryOut(.tick)
      // A tick whose program was killed is made up for by the guard.
      if let due = disk?.nextDue(at: clock), timer == nil {
        guardTick(after: max(1000, due.since(clock.moment).milliseconds))
      }
    }
  }

  private func guardTick(after wait: Int64) {
    guard !world.bugs.contains(.guardAsleep) else { return }
    let boot = bootID
    world.machinery.after(wait) { [weak self] in
      guard let self, isUp, bootID == boot, timer == nil else { return }
      carryOut(.tick)
      if let due = disk?.nextDue(at: clock), timer == nil {
        guardTick(after: max(1000, due.since(clock.moment).milliseconds))
      }
    }
  }

  // MARK: Units

  private func start(_ side: Side, waits: Bool) -> EffectOutcome {
    var unit = self[side]
    if !unit.isActive, !unit.isBroken {
      let release = side.slot.flatMap { written[$0] }
      starts += 1
      unit = Unit(
        isActive: release != nil && release.map { behaviours[$0.digest] } != .some(.exits), since: world.now,
        invocation: "\(index)-\(starts)", restarts: 0, release: release)
      self[side] = unit
      world.judge.started(self, side)
      if unit.isActive { schedule(side, unit) }
    }
    world.note("h\(index) \(side.rawValue) is \(unit.isActive ? "started" : "not up")")
    return .unit(status(side), lastLines: unit.isActive ? [] : ["it would not"])
  }

  /// What the release will do by itself.
  private func schedule(_ side: Side, _ unit: Unit) {
    guard let release = unit.release, case .crashes(let after) = behaviours[release.digest] else { return }
    world.machinery.after(after) { [weak self] in
      guard let self, self[side].invocation == unit.invocation, self[side].isActive else { return }
      die(side)
    }
  }

  /// The side's process ends by itself, and may not be started any more.
  func die(_ side: Side, forGood: Bool = false) {
    let unit = self[side]
    self[side].isActive = false
    self[side].isBroken = forGood
    world.note("h\(index) \(side.rawValue) dies")
    if let slot = side.slot { carryOut(.stopped(slot, invocation: unit.invocation, how: "exit 3")) }
    guard isUp, !self[side].isActive, written[side.slot ?? .blue] != nil else { return }
    world.machinery.after(1000) { [weak self] in
      // Restart= of the unit, unless somebody has stopped it meanwhile.
      guard let self, isUp, !self[side].isActive, self[side].invocation == unit.invocation,
        !self[side].isBroken,
        let slot = side.slot, written[slot] != nil
      else { return }
      starts += 1
      self[side] = Unit(
        isActive: true, since: world.now, invocation: "\(index)-\(starts)", restarts: unit.restarts + 1,
        release: written[slot])
      schedule(side, self[side])
    }
  }

  private func stop(_ side: Side) {
    let unit = self[side]
    guard unit.isActive else {
      // A stop ends the wait for a restart, too.
      self[side].invocation = ""
      return
    }
    world.judge.stopping(self, side)
    world.note("h\(index) \(side.rawValue) is stopped")
    self[side].isActive = false
    self[side].invocation = ""
    guard let slot = side.slot else { return }
    world.machinery.after(10) { [weak self] in
      guard let self, isUp else { return }
      carryOut(.stopped(slot, invocation: unit.invocation, how: "stopped"))
    }
  }

  func status(_ side: Side) -> UnitStatus {
    let unit = self[side]
    return UnitStatus(
      unit: "\(agent)-\(side.rawValue).service", loadState: "loaded",
      activeState: unit.isActive ? "active" : "failed",
      subState: unit.isActive ? "running" : "dead", invocation: unit.invocation, restarts: unit.restarts,
      result: "success", exitStatus: 0, mainPID: unit.isActive ? 1 : 0)
  }

  var observation: AgentObservation {
    AgentObservation(
      blue: status(.blue), green: status(.green), adopted: nil, owner: traffic,
      disturbance: nil)
  }

  var agentStatus: AgentStatus {
    if var record = disk {
      if world.bugs.contains(.floorForgotten) { record.floor = nil }
      return record.status(observation, at: clock)
    }
    return AgentStatus(
      bootID: bootID, now: clock.moment, owner: traffic, disturbance: nil,
      slots: Slot.allCases.map { SlotStatus(slot: $0, release: nil, unit: status(Side($0))) }, adopted: nil,
      flip: nil, retained: nil, lease: nil, lastLease: nil, quarantine: nil, refused: [], lastLines: [])
  }

  // MARK: Faults

  /// The power goes while a record is being written. Whether that is in its place afterwards.
  private func losePower(writing record: AgentRecord) -> Bool {
    world.note("h\(index) loses its power")
    defer { reboot(after: world.dice.number(2_000...90_000)) }
    do {
      let isFlushed = !world.bugs.contains(.recordNotFlushed)
      let found = try RecordWriting.found(record, isFlushed: isFlushed, &world.dice)
      isRecordTorn = found == .unreadable
      return found == .new
    } catch {
      world.judge.fail(.twice, "h\(index): a record can't be written: \(error)")
      return false
    }
  }

  /// An orderly or disorderly end of the host, and a new boot some time later.
  func reboot(after downtime: Int64) {
    guard isUp else { return }
    world.note("h\(index) reboots")
    isUp = false
    timer = nil
    traffic = nil
    for side in [Side.blue, .green] {
      self[side].isActive = false
      self[side].invocation = ""
    }
    world.machinery.after(downtime) { [weak self] in
      guard let self else { return }
      boots += 1
      bootID = "boot-\(boots)"
      bootedAt = world.now
      isUp = true
      isDropping = false
      let boot = bootID
      // sshd may answer before the recorded owner is back.
      world.machinery.after(world.dice.number(0...4000)) { [weak self] in
        guard let self, isUp, bootID == boot else { return }
        restore(tries: 0)
      }
    }
  }

  /// The unit that puts the recorded owner in order at boot. It is started again where it fails.
  private func restore(tries: Int) {
    let isDone = carryOut(.boot) != nil
    let isRight = traffic == disk?.owner && (disk?.owner.map { self[$0].isActive } ?? true)
    guard !isDone || !isRight, tries < 20 else { return }
    let boot = bootID
    world.machinery.after(1000) { [weak self] in
      guard let self, isUp, bootID == boot else { return }
      restore(tries: tries + 1)
    }
  }

  /// Somebody flushes the firewall; the guard sees it.
  func flush() {
    guard isUp else { return }
    world.note("h\(index) the firewall is flushed")
    traffic = nil
    isDropping = false
    guard !world.bugs.contains(.guardAsleep) else { return }
    let boot = bootID
    world.machinery.after(world.dice.number(20...900)) { [weak self] in
      guard let self, isUp, bootID == boot, traffic != disk?.owner else { return }
      restore(tries: 0)
    }
  }
}

extension HostEffect {
  /// The effect's name in a trace.
  var word: String { String("\(self)".prefix { $0 != "(" }) }

  /// Whether the outside world may refuse it.
  var mayFail: Bool {
    switch self {
    case .observe, .start, .stop, .moveTraffic, .armTimer, .unpack, .persist: true
    default: false
    }
  }
}

extension AgentRecord {
  /// As if the lease were that of whoever asks.
  fileprivate mutating func overlook(_ order: AgentOrder) {
    if let key = order.key { lease?.key = key }
  }
}

extension AgentOrder {
  /// The key that the order carries; nil where it needs none.
  var key: LeaseKey? {
    switch self {
    case .renew(let key, _), .release(let key), .stage(let key, _), .stageEnd(let key, _), .flip(let key, _),
      .confirm(let key, _), .promote(let key, _), .retain(let key, _):
      key
    case .start(let key, _, _, _): key
    case .revert(let key, _, _, _): key
    default: nil
    }
  }
}
