import Certificates
import HostProtocol
import Ports
import RolloutModel

/// Brings an agent's credentials to its host, sees that the agent serves the certificate, and puts those from before back
/// where it doesn't.
public struct CredentialPush: Sendable {
  /// How it ended on a host.
  public struct Result: Sendable {
    /// What can be said of the host.
    public enum State: String, Sendable, Codable {
      /// The agent was seen to serve the certificate.
      case serving
      /// The files are there; that nobody serves them yet was asked for.
      case placed
      /// The agent did not serve it: the files from before are back.
      case putBack = "put_back"
      /// Nothing was changed.
      case refused
      /// What is on the host is not known.
      case unknown
    }

    /// The inventory's name.
    public var host: String
    /// What can be said of it.
    public var state: State
    /// Why, for people; escaped for a terminal.
    public var text: String
    /// Whether files on the host are others than before.
    public var changed = false
    /// The certificate that was to be there; nil where there was none to bring.
    public var record: CertificateRecord?
    /// The door that was taken, and why; nil where there is but one.
    public var way: String?

    /// Whether the host is as it was to be.
    public var isGood: Bool { state == .serving || state == .placed }
  }

  /// What an agent must be found to do before its files are touched.
  public enum Care: Sendable {
    /// It serves a certificate of the same authority.
    case sameAuthority
    /// It serves a certificate, be it of another authority, whose clients it then lets in no more.
    case anyAuthority
    /// It serves a certificate of the same authority, or is not there: neither seen nor known to the host to run.
    case sameAuthorityIfRunning(AgentName)
    /// Nothing: no agent need be there, and none is looked for.
    case unseen
  }

  private let doors: any Doors
  private let look: any CertificateLook
  private let prober: any Prober
  private let time: any Timekeeper
  private let port: Int
  /// How long an agent has to serve what was placed. It looks at its files every two seconds.
  private let within: Span
  private let care: Care

  /// One call with the host program, which does little.
  private static let callWithin = Duration.seconds(60)
  private static let lookWithin = Duration.seconds(5)
  private static let probeWithin = Span.seconds(5)
  private static let pause = Span(milliseconds: 250)
  /// A call that was lost is made again: each gives the result of once.
  private static let tries = 3

  /// A push through these doors; `port` is where agents serve.
  public init(
    doors: any Doors, look: any CertificateLook, prober: any Prober, time: any Timekeeper, port: Int,
    within: Span, care: Care
  ) {
    self.doors = doors
    self.look = look
    self.prober = prober
    self.time = time
    self.port = port
    self.within = within
    self.care = care
  }

  /// Brings credentials to one host. Those that can't be its own are refused before it is asked anything.
  public func bring(_ credentials: AgentCredentials, to host: Host) async -> Result {
    if let why = Self.mismatch(credentials, host) {
      return Result(host: host.name, state: .refused, text: why, record: credentials.record)
    }
    let channel = doors.channel(to: host)
    var result = await bring(credentials, to: host, over: channel)
    result.record = credentials.record
    result.way = await channel.way()
    await channel.close()
    return result
  }

  /// Why credentials would be refused on a host as it is; nil where they would not be. Changes nothing.
  public func refusal(of credentials: AgentCredentials, on host: Host) async -> Result? {
    let channel = doors.channel(to: host)
    var result: Result?
    do throws(DoorError) {
      _ = try await isServing(credentials, at: channel.outsideRoute(port: port), over: channel)
    } catch {
      result = refused(host, error)
    }
    result?.record = credentials.record
    result?.way = await channel.way()
    await channel.close()
    return result
  }

  /// Why credentials can't be a host's; nil where they can.
  public static func mismatch(_ credentials: AgentCredentials, _ host: Host) -> String? {
    guard !credentials.names(host.address) else { return nil }
    let address = escapedForTerminal(host.address)
    return "\(host.name): its certificate is not for \(address), where controllers look for it; "
      + "issue one with --san ip:\(address) or --san dns:\(address)"
  }

  private func bring(
    _ credentials: AgentCredentials, to host: Host, over channel: any HostChannel
  ) async -> Result {
    let route: ProbeRoute
    let isSeen: Bool
    do throws(DoorError) {
      route = try await channel.outsideRoute(port: port)
      isSeen = try await isServing(credentials, at: route, over: channel)
    } catch {
      return refused(host, error)
    }
    let files = CredentialFiles(
      certificate: credentials.certificate, key: Secret(credentials.key), authority: credentials.authority,
      revoked: credentials.list)
    let placed: CredentialState
    do throws(Obstacle) { placed = try await order(.place(files), over: channel) } catch {
      return Result(host: host.name, state: error.isUnasked ? .refused : .unknown, text: error.text)
    }
    guard let digest = placed.digest else {
      return Result(
        host: host.name, state: .unknown,
        text: "the host does not say what it has now: use a newer host program")
    }
    // An agent that can't be seen before can't be seen to serve afterwards either.
    guard isSeen else {
      return await settled(digest, host, over: channel, as: .placed, "its files are there", placed.changed)
    }
    guard let failure = await failureToServe(credentials, at: route) else {
      return await settled(
        digest, host, over: channel, as: .serving,
        placed.changed ? "the agent serves the new files" : "the agent has served these files already",
        placed.changed)
    }
    return await putBack(digest, host, over: channel, why: failure)
  }

  private func refused(_ host: Host, _ error: DoorError) -> Result {
    Result(
      host: host.name, state: .refused,
      text: "\(error); nothing was changed"
        + (error.kind == .unreachable ? " (`cert push --unseen` places files where no agent serves yet)" : "")
    )
  }

  // MARK: Seeing

  /// Whether an agent was seen to serve that may get these credentials. Errors: one that may not, and where none was seen though one is
  /// to be.
  private func isServing(
    _ credentials: AgentCredentials, at route: ProbeRoute, over channel: any HostChannel
  ) async throws(DoorError) -> Bool {
    if case .unseen = care { return false }
    let shown: [UInt8]
    switch await shownCertificate(at: route) {
    case .success(let der): shown = der
    case .failure(let error):
      guard case .sameAuthorityIfRunning(let agent) = care else { throw error }
      try await requireNone(agent, unseen: error, over: channel)
      return false
    }
    if case .anyAuthority = care { return true }
    guard credentials.isOfSameAuthority(shown) else {
      throw DoorError(
        .refused, "the agent shows a certificate of another authority, whose clients would be shut out",
        hint: "`cert push --replace-authority` brings it under this one")
    }
    return true
  }

  private func shownCertificate(at route: ProbeRoute) async -> Swift.Result<[UInt8], DoorError> {
    do throws(DoorError) {
      return .success(try await look.servedCertificate(at: route, within: Self.lookWithin))
    } catch { return .failure(error) }
  }

  /// An agent that runs, and can't be seen from here, may serve others: whose clients it lets in must not change unseen.
  private func requireNone(
    _ agent: AgentName, unseen: DoorError, over channel: any HostChannel
  ) async throws(DoorError) {
    switch try await channel.call(.observe(agent), within: Self.callWithin) {
    case .status(let status):
      let isServing = status.owner?.slot.flatMap { status.slot($0) }?.unit.isActive == true
      if isServing || status.adopted?.isActive == true { throw unseen }
    case .failed(let failure) where failure.code == .notFound:
      try await requireNoUnit(of: agent, unseen: unseen, over: channel)
    case .failed(let failure): throw DoorError(.unusable, Obstacle(failure).text)
    default: throw DoorError(.garbled, Obstacle.strange.text)
    }
  }

  /// One that a playbook or a person installed is an ordinary unit of its name.
  private func requireNoUnit(
    of agent: AgentName, unseen: DoorError, over channel: any HostChannel
  ) async throws(DoorError) {
    guard let unit = ServiceName("\(agent).service") else { return }
    switch try await channel.call(
      .service(ServiceOrder(unit: unit, action: .status, deadline: .seconds(10))), within: Self.callWithin)
    {
    case .service(let report): if report.unit.isActive { throw unseen }
    case .failed(let failure): throw DoorError(.unusable, Obstacle(failure).text)
    default: throw DoorError(.garbled, Obstacle.strange.text)
    }
  }

  /// Nil once the agent shows the certificate to a fresh connection, and has read the list; else why it was not seen to.
  private func failureToServe(_ credentials: AgentCredentials, at route: ProbeRoute) async -> String? {
    let end = time.now + within
    while true {
      guard let last = await shortcoming(credentials, at: route) else { return nil }
      guard time.now < end else { return "\(last) after \(within)" }
      do { try await time.sleep(Self.pause) } catch { return "the look at it was broken off" }
    }
  }

  private func shortcoming(_ credentials: AgentCredentials, at route: ProbeRoute) async -> String? {
    do throws(DoorError) {
      let shown = try await look.servedCertificate(at: route, within: Self.lookWithin)
      guard shown == credentials.der else { return "it still shows another certificate" }
    } catch {
      return error.message
    }
    // An agent whose configuration names no list says so; it can't be behind.
    if await says(.number(Double(credentials.listNumber)), at: route) == nil { return nil }
    guard let why = await says(.null, at: route) else { return nil }
    return "it has not read revocation list \(credentials.listNumber): \(why)"
  }

  /// Nil where the agent says that it has this list.
  private func says(_ list: JSONScalar, at route: ProbeRoute) async -> String? {
    let probe = ProbeDefinition(
      question: .https(path: "/version", verify: false),
      expect: Expectation(json: [JSONField(path: "revocation_list", value: list)]))
    return await prober.sample(
      ProbeRequest(probe: probe, route: route, timeout: Self.probeWithin, version: nil)
    ).reason
  }

  private func settled(
    _ digest: Digest, _ host: Host, over channel: any HostChannel, as state: Result.State, _ text: String,
    _ changed: Bool
  ) async -> Result {
    do throws(Obstacle) { _ = try await order(.settle(digest), over: channel) } catch {
      // It serves: that the files from before are still kept there does no harm, and the next push removes them.
      return Result(
        host: host.name, state: state, text: "\(text); those from before are still kept there: \(error.text)",
        changed: changed)
    }
    return Result(host: host.name, state: state, text: text, changed: changed)
  }

  private func putBack(
    _ digest: Digest, _ host: Host, over channel: any HostChannel, why: String
  ) async -> Result {
    do throws(Obstacle) {
      let state = try await order(.undo(digest), over: channel)
      guard state.changed || state.digest != digest else {
        return Result(
          host: host.name, state: .unknown, text: "\(why); there were no other files before to put back")
      }
      return Result(host: host.name, state: .putBack, text: "\(why); the files from before are back")
    } catch {
      return Result(
        host: host.name, state: .unknown,
        text: "\(why); the files from before could not be put back: \(error.text); push again over SSH",
        changed: true)
    }
  }

  // MARK: Asking

  private func order(
    _ order: CredentialOrder, over channel: any HostChannel
  ) async throws(Obstacle) -> CredentialState {
    switch try await reply(to: order, over: channel) {
    case .credentials(let state): return state
    case .failed(let failure): throw Obstacle(failure)
    default: throw Obstacle.strange
    }
  }

  private func reply(
    to order: CredentialOrder, over channel: any HostChannel
  ) async throws(Obstacle) -> HostReply {
    var tried = 0
    while true {
      do throws(DoorError) {
        return try await channel.call(.credentials(order), within: Self.callWithin)
      } catch {
        tried += 1
        guard [.lost, .unreachable].contains(error.kind), tried < Self.tries else {
          let isUnasked = [.unreachable, .refused, .unusable].contains(error.kind) && tried == 1
          throw Obstacle(text: "\(error)", isUnasked: isUnasked)
        }
      }
      // Cut short, it is tried sooner.
      try? await time.sleep(.seconds(1))
    }
  }
}
