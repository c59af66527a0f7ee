import Agents
import FoundationEssentials
import HostProtocol
import Ports
import RolloutModel
import Synchronization
import Testing

@Suite("An agent is steered")
struct AgentControlTests {
  private static let host = Host(name: "web-1", address: "192.0.2.7")

  private func carryOut(_ action: ServiceAction, _ steered: Steered) async -> AgentControl.Result {
    await AgentControl(
      doors: steered, look: steered, time: Clock(), definition: steered.definition, within: .seconds(5)
    ).carryOut(action, on: Self.host)
  }

  @Test("What is done at once is told as it was seen")
  func isDone() async throws {
    let steered = try Steered([.active("1")], job: "done")
    let result = await carryOut(.start, steered)
    #expect(result.ok && result.unit?.activeState == "active")
  }

  @Test("A restart that takes longer is looked for until the unit is up anew")
  func waits() async throws {
    let steered = try Steered([.active("1"), .stopping("1"), .active("1"), .active("2")], job: "running")
    #expect(await carryOut(.restart, steered).ok)
    let stuck = try Steered([.active("1")], job: "running")
    let result = await carryOut(.restart, stuck)
    #expect(!result.ok && result.text.contains("after 5s"))
  }

  @Test("The agent that carried the order for its own end is lost: its silence is what can be seen")
  func isSilent() async throws {
    let steered = try Steered([.active("1")], job: nil)
    steered.answersClients = false
    let result = await carryOut(.stop, steered)
    #expect(result.ok && result.text.contains("answers no more"))
    let cut = try Steered([.active("1")], job: nil)
    (cut.answersClients, cut.isReachable) = (false, false)
    #expect(await carryOut(.stop, cut).ok == false, "a network that is cut says nothing of the agent")
    let alive = try Steered([.active("1")], job: nil)
    #expect(await carryOut(.stop, alive).ok == false)
    #expect(await carryOut(.start, try Steered([.active("1")], job: nil)).ok == false)
  }

  @Test("Where no agent is, nothing is done")
  func needsAgent() async throws {
    let steered = try Steered([], job: "done")
    let result = await carryOut(.stop, steered)
    #expect(!result.ok && result.text.contains("no agent is installed"))
    #expect(steered.orders == 0)
  }
}

/// A host whose agent's unit goes through states, one with each look.
final class Steered: Doors, PretendChannel, CertificateLook, Sendable {
  private struct Contents {
    var states: [UnitStatus]
    var answersClients = true
    var isReachable = true
    var isGone = false
    var orders = 0
  }

  let definition: AgentDefinition
  private let contents: Mutex<Contents>
  /// How the job ends; nil where the connection is lost with it.
  private let job: String?

  init(_ states: [UnitStatus], job: String?) throws {
    contents = Mutex(Contents(states: states))
    self.job = job
    definition = AgentDefinition(
      name: try #require(AgentName("switchyard-agent")), user: "switchyard-agent", strip: 0, exec: "bin/a",
      args: [], environment: [], slots: SlotPorts(blue: 7441, green: 7442), publicPort: 7440,
      traffic: .nftables,
      drain: .seconds(1), concurrent: true, unitTemplate: nil, adopt: nil,
      health: [ProbeDefinition(question: .tcp)], dependencies: [])
  }

  var orders: Int { contents.withLock { $0.orders } }
  var answersClients: Bool {
    get { contents.withLock { $0.answersClients } }
    set { contents.withLock { $0.answersClients = newValue } }
  }

  var isReachable: Bool {
    get { contents.withLock { $0.isReachable } }
    set { contents.withLock { $0.isReachable = newValue } }
  }

  func channel(to host: Host) -> any HostChannel { self }

  func servedCertificate(at route: ProbeRoute, within: Duration) async throws(DoorError) -> [UInt8] {
    guard answersClients else { throw DoorError(.unreachable, "nobody there") }
    return [1]
  }

  func isClosed(at route: ProbeRoute, within: Duration) async -> Bool { !answersClients && isReachable }

  func call(_ request: HostRequest, within: Duration) async throws(DoorError) -> HostReply {
    let (isGone, next) = contents.withLock { contents -> (Bool, UnitStatus?) in
      let next = contents.states.first
      if contents.states.count > 1 { contents.states.removeFirst() }
      if case .service(let order) = request, order.action != .status {
        contents.orders += 1
        if job == nil { contents.isGone = true }
      }
      return (contents.isGone, next)
    }
    if isGone {
      // The order itself was heard; whoever asks afterwards finds nobody.
      if case .service(let order) = request, order.action != .status { throw DoorError(.lost, "it is gone") }
      throw DoorError(answersClients ? .lost : .unreachable, "nobody is there")
    }
    switch request {
    case .observe:
      let unit = next ?? .active("")
      return .status(.of(owner: next == nil ? nil : .blue, unit))
    case .service(let order):
      let unit = next ?? .active("")
      return .service(
        ServiceReport(
          unit: unit, type: "notify", since: nil, age: nil, job: order.action == .status ? "" : job ?? "",
          isAsAsked: true, lastLines: []))
    default: throw DoorError(.garbled, "not asked for here")
    }
  }
}

extension AgentStatus {
  /// An agent whose blue slot has this unit.
  static func of(owner: Side?, _ unit: UnitStatus) -> AgentStatus {
    AgentStatus(
      bootID: "b", now: Moment(milliseconds: 0), owner: owner, disturbance: nil,
      slots: [SlotStatus(slot: .blue, release: nil, unit: unit)], adopted: nil, flip: nil, retained: nil,
      lease: nil, lastLease: nil, quarantine: nil, refused: [], lastLines: [])
  }
}

extension UnitStatus {
  static func active(_ invocation: String) -> UnitStatus { of("active", invocation) }
  static func stopping(_ invocation: String) -> UnitStatus { of("deactivating", invocation) }

  private static func of(_ state: String, _ invocation: String) -> UnitStatus {
    UnitStatus(
      unit: "switchyard-agent-blue.service", loadState: "loaded", activeState: state, subState: "running",
      invocation: invocation, restarts: 0, result: "success", exitStatus: 0, mainPID: 1)
  }
}
