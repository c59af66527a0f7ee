import HostMachine
import HostProtocol
import Ports
import RolloutModel

/// A controller's way to one host. What was sent before the controller died may still arrive.
final class SimulatedDoor: HostChannel, @unchecked Sendable {
  // Used by the simulation's one thread alone, as all of it.
  private unowned let world: SimulatedWorld
  private unowned let controller: SimulatedController
  private let host: SimulatedHost

  init(_ host: SimulatedHost, controller: SimulatedController, world: SimulatedWorld) {
    self.host = host
    self.controller = controller
    self.world = world
  }

  func call(_ request: HostRequest, within limit: Duration) async throws(DoorError) -> HostReply {
    try await pass()
    if world.strikes(.connectionRefused) || !host.isUp || host.isCut {
      await pause(host.isCut ? 5000 : 200)
      throw DoorError(.unreachable, "no way to h\(host.index)")
    }
    await pause(world.dice.number(2...40))
    let isLost = world.strikes(.connectionLost)
    if isLost, world.dice.permille(500) { throw lost() }
    guard host.isUp, !host.isCut else { throw lost() }
    let times = world.strikes(.requestTwice) ? 2 : 1
    var reply: HostReply?
    for _ in 0..<times { reply = answer(request) }
    await pause(world.dice.number(2...20))
    try await pass()
    guard let reply, !isLost, !host.isCut else {
      throw lost()
    }
    return reply
  }

  func stage(
    _ release: IdentifiedRelease, from path: String, key: LeaseKey, progressWithin: Duration
  ) async throws(DoorError) -> HostReply {
    let announced = try await call(.stage(key, release), within: progressWithin)
    guard case .staged(let have) = announced else { return announced }
    if have < release.manifest.archiveBytes {
      await pause(world.dice.number(100...2000))
      if world.strikes(.connectionLost) { throw lost() }
    }
    return try await call(.stageEnd(key, release), within: progressWithin)
  }

  func insideRoute(host name: String, port: Int) async throws(DoorError) -> ProbeRoute {
    .tunnel(socket: "h\(host.index)", address: name, port: port)
  }

  func outsideRoute(port: Int) async throws(DoorError) -> ProbeRoute {
    .direct(address: "h\(host.index)", port: port)
  }

  func close() async {}

  private func lost() -> DoorError { DoorError(.lost, "the connection to h\(host.index) was lost") }

  private func pause(_ milliseconds: Int64) async {
    _ = await world.machinery.wait(milliseconds, isFirm: true)
  }

  /// A controller that is dead says nothing more; one that is stopped says it later.
  private func pass() async throws(DoorError) {
    while controller.isStopped { await pause(1000) }
    if controller.isDead { throw DoorError(.lost, "the controller is dead") }
  }

  /// What the host program makes of a request; nil where it was killed in the midst of it.
  private func answer(_ request: HostRequest) -> HostReply? {
    switch request {
    case .hello, .log: return .log([])
    case .check(let dependencies, _):
      return .checked(dependencies.map { DependencyResult(dependency: $0.title, failure: nil) })
    case .facts:
      return .facts(
        HostFacts(
          architecture: "x86_64", kernel: "6", system: "", systemd: 252, diskFree: 1 << 40,
          memoryAvailable: 1 << 30,
          userExists: true, listeners: [], foreignUnits: [], trafficObstacle: nil, agent: host.agentStatus))
    case .observe: return .status(host.agentStatus)
    default: break
    }
    guard let order = AgentOrder(request) else { return .failed(HostFailure(.unsupported, "not simulated")) }
    let before = host.disk
    world.judge.asked(host, order, by: controller)
    guard let answer = host.carryOut(order) else { return nil }
    world.judge.answered(host, order, answer, before: before, by: controller)
    switch answer {
    case .status: return .status(host.agentStatus)
    case .lease(let lease): return .lease(lease)
    case .staged(let have): return .staged(have: have)
    case .done: return .done
    case .failed(let failure):
      world.note("h\(host.index) refuses: \(failure.message)")
      return .failed(failure)
    }
  }
}

extension AgentOrder {
  /// What a request asks of the machine; nil for those that ask nothing of it.
  init?(_ request: HostRequest) {
    switch request {
    case .acquire(let lease): self = .acquire(lease)
    case .renew(_, let key, let ttl): self = .renew(key, ttl: ttl)
    case .release(_, let key): self = .release(key)
    case .stage(let key, let release): self = .stage(key, release)
    case .stageEnd(let key, let release): self = .stageEnd(key, release)
    case .start(let key, let slot, let release, let deadline):
      self = .start(key, slot, release, deadline: deadline)
    case .discard(_, let key, let slot, let release, let reason, let refuse):
      self = .discard(key, slot, release: release, reason: reason, refuse: refuse)
    case .flip(let key, let order): self = .flip(key, order)
    case .confirm(_, let key, let flip): self = .confirm(key, flip: flip)
    case .promote(_, let key, let flip): self = .promote(key, flip: flip)
    case .revert(_, let key, let flip, let reason, let refuse):
      self = .revert(key, flip: flip, reason: reason, refuse: refuse)
    case .retain(_, let key, let retention): self = .retain(key, retention)
    case .rollback(_, let reason, let takeOver): self = .rollback(reason: reason, takeOver: takeOver)
    case .clear: self = .clear
    case .forget(_, let force): self = .forget(force: force)
    case .remove: self = .remove
    case .hello, .facts, .check, .observe, .service, .log, .credentials, .removed:
      return nil
    }
  }
}

/// Asks the simulated agents.
final class SimulatedProber: Prober, @unchecked Sendable {
  // Used by the simulation's one thread alone, as all of it.
  private unowned let world: SimulatedWorld
  private let slots: SlotPorts
  private let publicPort: Int
  private let controller: String

  init(_ agent: AgentDefinition, controller: String, world: SimulatedWorld) {
    self.world = world
    self.controller = controller
    slots = agent.slots
    publicPort = agent.publicPort
  }

  func sample(_ request: ProbeRequest) async -> Sample {
    let began = world.now
    let (name, port, isOutside) =
      switch request.route {
      case .direct(let address, let port): (address, port, true)
      case .tunnel(let socket, _, let port): (socket, port, false)
      }
    guard let number = Int(name.dropFirst()), world.hosts.indices.contains(number) else {
      return Sample(outcome: .notAsked("no such host"), took: .zero)
    }
    let host = world.hosts[number]
    _ = await world.machinery.wait(world.dice.number(1...15), isFirm: true)
    let side: Side? =
      port == slots.blue ? .blue : port == slots.green ? .green : port == publicPort ? host.traffic : nil
    var health = side.map { host.health($0) } ?? .silent
    if isOutside, host.isCut || host.isDropping { health = .silent }
    let isAsked = isOutside || (host.isUp && !host.isCut)
    var outcome: Sample.Outcome
    switch health {
    case _ where !isAsked: outcome = .notAsked("the way to \(name) is cut")
    case .healthy(let version) where request.version == nil || version == request.version: outcome = .healthy
    case .healthy(let version): outcome = .wrongVersion("\(version) answers")
    case .sick: outcome = .unhealthy("status 503, expected 200")
    case .silent:
      outcome = .noAnswer("no answer in time")
      // A port that nobody listens on answers at once.
      if side.map({ host[$0].isActive }) ?? true {
        _ = await world.machinery.wait(request.timeout.milliseconds, isFirm: true)
      }
    }
    world.judge.sampled(host, side, isOutside: isOutside, port: port, health: health, outcome, by: controller)
    if world.bugs.contains(.unknownIsHealthy) {
      if case .noAnswer = outcome { outcome = .healthy }
      if case .notAsked = outcome { outcome = .healthy }
    }
    if world.bugs.contains(.versionIgnored), case .wrongVersion = outcome { outcome = .healthy }
    let took = world.bugs.contains(.unknownIsHealthy) ? .zero : Span(milliseconds: world.now - began)
    return Sample(outcome: outcome, took: took)
  }
}

/// The controller's clock and chance.
final class SimulatedTime: Timekeeper, @unchecked Sendable {
  // Used by the simulation's one thread alone, as all of it.
  private unowned let world: SimulatedWorld

  init(_ world: SimulatedWorld) { self.world = world }

  var now: Moment { Moment(milliseconds: world.now) }
  var wall: Int64 { 1_700_000_000_000 + world.now }
  var chance: UInt64 { world.dice.next() }

  func sleep(_ span: Span) async throws {
    guard await world.machinery.wait(span.milliseconds) else { throw CancellationError() }
  }
}
