import RolloutModel
import Testing

@testable import HostCore
@testable import HostMachine

/// A host's hands without a host: they note what they are told.
final class PretendHands: Hands {
  var isDown = false
  var done: [HostEffect] = []
  /// How much later each look at the clock is than the one before.
  var between = Span.zero
  /// Called before each effect.
  var watch: (HostEffect) -> Void = { _ in }
  /// Whether an agent runs that nobody manages.
  var isServedOtherwise = false
  /// Called where the agent's door is closed.
  var atDoor: () throws(HostFailure) -> Void = { () throws(HostFailure) in }
  private var moment = Moment(milliseconds: 1_000_000)

  func now() -> HostNow {
    defer { moment = moment + between }
    return HostNow(bootID: "boot-1", moment: moment)
  }

  func isShuttingDown() -> Bool { isDown }
  func removeState(of agent: AgentName) {}
  func closeAgentDoor() throws(HostFailure) { try atDoor() }

  func requireUnserved(_ agent: AgentName) throws(HostFailure) {
    guard isServedOtherwise else { return }
    throw HostFailure(.invalid, "an agent that nobody manages runs here", hint: "stop it")
  }

  func execute(_ effect: HostEffect, _ record: AgentRecord) throws(HostFailure) -> EffectOutcome {
    watch(effect)
    done.append(effect)
    switch effect {
    case .observe: return .observed(try observe(record))
    case .start(let side, _): return .unit(unit(side.rawValue), lastLines: [])
    case .measure: return .have(0)
    case .awaitAnswer: return .answer(nil)
    default: return .done
    }
  }

  func observe(_ record: AgentRecord) throws(HostFailure) -> AgentObservation {
    AgentObservation(
      blue: unit("blue"), green: unit("green"), adopted: nil, owner: record.owner, disturbance: nil)
  }

  func unit(_ name: String) -> UnitStatus {
    UnitStatus(
      unit: name, loadState: "loaded", activeState: "active", subState: "running", invocation: "run-\(name)",
      restarts: 0, result: "success", exitStatus: 0, mainPID: 1)
  }
}

/// An agent on a pretended host: blue serves, green holds a candidate.
struct DriverFixture {
  static let key = LeaseKey(controller: "controller-1", epoch: 1)

  let folder: TemporaryFolder
  let hands = PretendHands()
  let agent: AgentName
  let release: IdentifiedRelease
  var home: String { "\(folder.path)/demo" }
  var driver: AgentDriver { AgentDriver(agent: agent, folder: home, hands: hands) }

  init() throws {
    folder = try TemporaryFolder()
    let setup = try trafficSetup(adopt: nil)
    agent = setup.name
    release = try Self.release()
    var record = Self.record(setup, bootID: "boot-1")
    record.blue = SlotRecord(release: release, bootID: "boot-1", invocation: "run-blue")
    record.green = SlotRecord(release: release, bootID: "boot-1", invocation: "run-green")
    record.owner = .blue
    try StateFile(folder: home).write(record)
  }

  /// What a host knows of an agent whose lease is held.
  static func record(_ setup: AgentSetup, bootID: String) -> AgentRecord {
    var record = AgentRecord(setup: setup, bootID: bootID)
    record.epoch = key.epoch
    record.lease = HeldLease(
      key: key, holder: "somebody", reason: "a test", ttl: .seconds(600), bootID: bootID,
      renewed: Moment(milliseconds: 1_000_000))
    return record
  }

  static func release(_ bytes: Int64 = 10) throws -> IdentifiedRelease {
    let digest = try #require(Digest(String(repeating: "1", count: 64)))
    let definition = AgentDefinition(
      name: try #require(AgentName("demo")), user: "root", strip: 0, exec: "bin/agent", args: [],
      environment: [], slots: SlotPorts(blue: 7001, green: 7002), publicPort: 8400, traffic: .nftables,
      drain: .seconds(1), concurrent: true, unitTemplate: nil, adopt: nil,
      health: [ProbeDefinition(question: .tcp)], dependencies: [])
    let archive = ReleaseArchive(architecture: "", path: "", digest: digest, bytes: bytes)
    let manifest = ReleaseManifest(
      agent: definition, version: try #require(Version("1.0.0")), archive: archive)
    return IdentifiedRelease(
      manifest: manifest, digest: try #require(Digest(bytes: HostTests.sha256(try canonicalJSON(manifest)))))
  }

  var flip: AgentOrder {
    .flip(
      Self.key,
      FlipOrder(
        agent: agent, flip: "f", from: .blue, to: .green, release: release.digest, bootID: "boot-1",
        invocation: "run-green", gateAge: .seconds(59), confirmWithin: .seconds(60)))
  }

  var state: AgentRecord? {
    guard case .whole(let record) = StateFile(folder: home).read() else { return nil }
    return record
  }
}
