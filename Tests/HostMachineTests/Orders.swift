import RolloutModel

@testable import HostMachine

/// Orders as a controller gives them.
enum Orders {
  static let key = LeaseKey(controller: "controller-1", epoch: 1)
  static let first = release("1.0.0", "1")
  static let second = release("2.0.0", "2")

  static func definition(adopt: Adoption? = nil, floor: Version? = nil) -> AgentDefinition {
    AgentDefinition(
      name: PretendHost.agent, user: "root", strip: 0, exec: "bin/agent", args: [], environment: [],
      slots: SlotPorts(blue: 7001, green: 7002), publicPort: 8400, traffic: .nftables, drain: .seconds(30),
      concurrent: true, unitTemplate: nil, adopt: adopt, health: [ProbeDefinition(question: .tcp)],
      dependencies: [], floor: floor)
  }

  static func release(_ version: String, _ digit: Character) -> IdentifiedRelease {
    let digest = valid(Digest(String(repeating: digit, count: 64)))
    let archive = ReleaseArchive(architecture: "", path: "", digest: digest, bytes: 10)
    return IdentifiedRelease(
      manifest: ReleaseManifest(agent: definition(), version: valid(Version(version)), archive: archive),
      digest: digest)
  }

  /// A sample that the tests themselves wrote.
  static func valid<Value>(_ value: Value?) -> Value {
    guard let value else { fatalError("a sample of the tests is not valid") }
    return value
  }

  static func acquire(
    _ controller: String = "controller-1", takeOver: Bool = false, adopt: Adoption? = nil,
    floor: String? = nil
  ) -> AgentOrder {
    .acquire(
      LeaseRequest(
        setup: AgentSetup(
          agent: definition(adopt: adopt, floor: floor.map { valid(Version($0)) }), host: "h1"),
        controller: controller,
        holder: "somebody@here",
        reason: "a rollout", ttl: .seconds(600), takeOver: takeOver))
  }

  static func start(_ slot: Slot, _ release: IdentifiedRelease) -> AgentOrder {
    .start(key, slot, release, deadline: .seconds(10))
  }

  static func discard(_ slot: Slot, release: Digest? = nil, refuse: Bool = false) -> AgentOrder {
    .discard(key, slot, release: release, reason: "", refuse: refuse)
  }

  static func flip(
    _ name: String, from: Side?, to slot: Slot, on host: PretendHost,
    change: (inout FlipOrder) -> Void = { _ in }
  ) -> AgentOrder {
    let side = Side(slot)
    var order = FlipOrder(
      agent: PretendHost.agent, flip: name, from: from, to: slot,
      release: host.disk?[slot]?.release.digest ?? first.digest, bootID: host.now.bootID,
      invocation: host[side].invocation, gateAge: .seconds(1), confirmWithin: .seconds(120))
    change(&order)
    return .flip(key, order)
  }
}

extension PretendHost {
  /// A host on which blue (1.0.0) is promoted and green (2.0.0) is started.
  static func withCandidate() -> PretendHost {
    var host = PretendHost()
    _ = host.run(Orders.acquire())
    _ = host.run(Orders.start(.blue, Orders.first))
    _ = host.run(Orders.flip("first", from: nil, to: .blue, on: host))
    _ = host.run(.confirm(Orders.key, flip: "first"))
    _ = host.run(.promote(Orders.key, flip: "first"))
    _ = host.run(Orders.start(.green, Orders.second))
    host.done = []
    return host
  }

  /// The same, flipped.
  static func flipped(_ phase: FlipPhase = .armed) -> PretendHost {
    var host = withCandidate()
    _ = host.run(Orders.flip("f", from: .blue, to: .green, on: host))
    if phase != .armed { _ = host.run(.confirm(Orders.key, flip: "f")) }
    if phase == .promoted { _ = host.run(.promote(Orders.key, flip: "f")) }
    host.done = []
    return host
  }

  /// Nothing of it was changed by what was refused.
  func isUntouched(since before: PretendHost) -> Bool {
    disk == before.disk && traffic == before.traffic && timer == before.timer && blue == before.blue
      && green == before.green && written == before.written
  }
}

extension AgentAnswer? {
  var code: HostFailure.Code? {
    guard case .failed(let failure)? = self else { return nil }
    return failure.code
  }
}
