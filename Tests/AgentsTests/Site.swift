import Agents
import Certificates
import FoundationEssentials
import Glibc
import HostProtocol
import Ports
import RolloutModel
import Synchronization

/// An authority, and a host with an agent, as far as a push sees them.
final class Site: Doors, PretendChannel, CertificateLook, Prober, Sendable {
  private struct Contents {
    var asked: [String] = []
    var served: [UInt8] = [1]
    var before: [UInt8] = [1]
    var reloads = true
    var isUp = true
    var runs: Bool?
    var isOrdinary = false
    var lost = 0
    var refusal: HostFailure?
    var placed: Digest?
    var der: [UInt8] = []
    var list: JSONScalar = .number(1)
  }

  let clock = Clock()
  let folder: String
  private let contents = Mutex(Contents())
  private static let digest = RolloutModel.Digest(String(repeating: "a", count: 64))

  init() throws {
    var template = Array("/tmp/switchyard-agents-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/authority"
    _ = try authority.create(named: "test")
    _ = try authority.issue(
      CertificateRequest(name: "web-1", role: .agent, alternativeNames: ["ip:192.0.2.7"], days: 90))
  }

  deinit {
    // What is left is in /tmp.
    _ = try? FileManager.default.removeItem(atPath: String(folder.dropLast("/authority".count)))
  }

  var authority: Authority { Authority(directory: folder, time: clock) }

  func credentials() throws -> AgentCredentials {
    let credentials = try authority.credentials(of: "web-1")
    contents.withLock { $0.der = credentials.der }
    return credentials
  }

  func push(_ care: CredentialPush.Care = .anyAuthority) -> CredentialPush {
    CredentialPush(
      doors: self, look: self, prober: self, time: clock, port: 7440, within: .seconds(5), care: care)
  }

  /// The agent shows the authority's own certificate so far.
  func showsOwn(_ der: [UInt8]) { contents.withLock { $0.served = der } }

  /// What the agent says of the revocation list that it has read.
  var list: JSONScalar {
    get { contents.withLock { $0.list } }
    set { contents.withLock { $0.list = newValue } }
  }

  func sample(_ request: ProbeRequest) async -> Sample {
    let isSo = request.probe.expect.json.first?.value == list
    return Sample(outcome: isSo ? .healthy : .unhealthy("revocation_list is another"), took: .zero)
  }

  var asked: [String] { contents.withLock { $0.asked } }
  var reloads: Bool {
    get { contents.withLock { $0.reloads } }
    set { contents.withLock { $0.reloads = newValue } }
  }
  var isUp: Bool {
    get { contents.withLock { $0.isUp } }
    set { contents.withLock { $0.isUp = newValue } }
  }
  /// What the host program says: whether the agent's unit is up; nil where nothing is known of an agent.
  var runs: Bool? {
    get { contents.withLock { $0.runs } }
    set { contents.withLock { $0.runs = newValue } }
  }
  /// Whether an agent runs that nobody manages.
  var isOrdinary: Bool {
    get { contents.withLock { $0.isOrdinary } }
    set { contents.withLock { $0.isOrdinary = newValue } }
  }
  var lost: Int {
    get { contents.withLock { $0.lost } }
    set { contents.withLock { $0.lost = newValue } }
  }
  var refusal: HostFailure? {
    get { contents.withLock { $0.refusal } }
    set { contents.withLock { $0.refusal = newValue } }
  }

  func channel(to host: Host) -> any HostChannel { self }

  func servedCertificate(at route: ProbeRoute, within: Duration) async throws(DoorError) -> [UInt8] {
    guard isUp else { throw DoorError(.unreachable, "nobody there") }
    return contents.withLock { $0.served }
  }

  func isClosed(at route: ProbeRoute, within: Duration) async -> Bool { !isUp }

  func call(_ request: HostRequest, within: Duration) async throws(DoorError) -> HostReply {
    if case .observe = request {
      guard let runs else { return .failed(HostFailure(.notFound, "nothing is known of it")) }
      return .status(.of(owner: .blue, runs ? .active("1") : .stopping("1")))
    }
    if case .service = request {
      return .service(
        ServiceReport(
          unit: isOrdinary ? .active("1") : .stopping("1"), type: "notify", since: nil, age: nil, job: "",
          isAsAsked: true, lastLines: []))
    }
    guard case .credentials(let order) = request else { throw DoorError(.garbled, "not asked for here") }
    let (isLost, reply) = contents.withLock { contents -> (Bool, HostReply) in
      switch order {
      case .place:
        contents.asked.append("place")
        if let refusal = contents.refusal { return (false, .failed(refusal)) }
        if contents.reloads { contents.served = contents.der }
      case .undo:
        contents.asked.append("undo")
        contents.served = contents.before
      case .settle: contents.asked.append("settle")
      }
      if contents.lost > 0 {
        contents.lost -= 1
        return (true, .done)
      }
      return (
        false, .credentials(CredentialState(digest: Self.digest, changed: true, keepsBefore: true))
      )
    }
    if isLost { throw DoorError(.lost, "the connection was lost") }
    return reply
  }
}

/// A clock that runs as fast as it is asked to wait.
final class Clock: Timekeeper {
  private let state = Mutex((now: Int64(0), wall: Int64(1_800_000_000_000), chance: UInt64(1)))

  var now: Moment { state.withLock { Moment(milliseconds: $0.now) } }
  var wall: Int64 {
    get { state.withLock { $0.wall } }
    set { state.withLock { $0.wall = newValue } }
  }
  var chance: UInt64 {
    state.withLock { state in
      state.chance = state.chance &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state.chance
    }
  }

  func sleep(_ span: Span) async throws { state.withLock { $0.now += span.milliseconds } }
}
