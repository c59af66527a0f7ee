import EventLoop
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Ports
import RolloutModel
import Synchronization

/// Makes requests to agents, each over a connection of its own, with mutual TLS.
struct RPCClient: Sendable {
  let settings: RPCSettings
  let group: MultiThreadedEventLoopGroup
  let loop: HomeLoop
  private let context: NIOSSLContext
  private let token: RPCToken?
  private let isRevoked: RevokedAgents?

  /// Reads the settings' files, which are short.
  init(_ settings: RPCSettings, isRevoked: RevokedAgents?, loop: HomeLoop) throws(DoorError) {
    self.settings = settings
    self.isRevoked = isRevoked
    self.loop = loop
    func read<Value>(_ what: String, _ path: String, _ body: () throws -> Value) throws(DoorError) -> Value {
      do { return try body() } catch {
        throw DoorError(
          .local, "\(what) \(path) can't be used: \(error)",
          hint: "rpc: in the agent file names it; switchyard cert issue makes one")
      }
    }
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.minimumTLSVersion = .tlsv12
    tls.trustRoots = .certificates(
      try read("the authority", settings.authority) {
        try NIOSSLCertificate.fromPEMFile(settings.authority)
      })
    func identity() throws(DoorError) -> NIOSSLContext {
      tls.certificateChain = try read("our certificate", settings.certificate) {
        try NIOSSLCertificate.fromPEMFile(settings.certificate).map { .certificate($0) }
      }
      tls.privateKey = .privateKey(
        try read("our certificate's key", settings.key) {
          try NIOSSLPrivateKey(file: settings.key, format: .pem)
        })
      return try read("our certificate", settings.certificate) { [tls] in
        try NIOSSLContext(configuration: tls)
      }
    }
    // Between two files that are just being renewed they don't fit: then both are read again.
    do throws(DoorError) { context = try identity() } catch { context = try identity() }
    token = try settings.token.map { path throws(DoorError) in try RPCToken(file: path) }
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  }

  /// Ends the client's thread, and what still goes over it.
  func shutDown() async {
    do { try await group.shutdownGracefully() } catch {
      // Shut down already: that is all that it says.
    }
  }

  /// Where an agent is, for messages.
  func place(_ address: String) -> String {
    escapedForTerminal(
      address.contains(":") ? "[\(address)]:\(settings.port)" : "\(address):\(settings.port)")
  }

  /// Why a stream was not opened.
  enum Refusal: Error {
    /// No agent of ours was reached, or it does not let us in.
    case door(DoorError)
    /// The agent says, with this status, that the far side of the stream refuses it.
    case farSide(HTTPResponseStatus, String)
  }

  /// Opens a stream: a POST to `path` whose body and answer flow at the same time.
  func open(_ path: String, at address: String) async throws(Refusal) -> ByteChannel {
    let (channel, answer) = try await connected(path, address)
    let reply = try await reply(answer, on: channel, at: address)
    guard reply.status != .ok else { return channel }
    let words = "\(reply.status.code) \(escapedForTerminal(reply.words))"
    switch reply.status {
    // Nobody listens there, or whoever does takes no connection.
    case .badGateway, .gatewayTimeout: throw .farSide(reply.status, words)
    default: throw .door(refusal(reply, path, address))
    }
  }

  /// Begins a request whose body is sent piece by piece; the answer comes once ``ByteChannel/finish()`` has ended it, or before.
  func begin(
    _ method: HTTPMethod, _ path: String, at address: String
  ) async throws(DoorError) -> (body: ByteChannel, answer: EventLoopFuture<DuplexRequest.Answer>) {
    do throws(Refusal) { return try await connected(path, address, method) } catch {
      switch error {
      case .door(let error): throw error
      case .farSide(_, let words): throw DoorError(.unusable, "\(place(address)): \(words)")
      }
    }
  }

  /// Sends a POST with a short body; the channel gives the answer's. What an agent that lets us in refuses is the far side's: the
  /// answer's own words.
  func send(_ body: [UInt8], to path: String, at address: String) async throws(Refusal) -> ByteChannel {
    let (channel, answer) = try await connected(path, address)
    var isSent = false
    do {
      try await withDeadline(after: settings.stepWithin, on: loop) { try await channel.write(body) }
      channel.finish()
      isSent = true
    } catch {
      // Without its end the request was never whole: nothing was done for it. The answer, or its failure, says why.
    }
    let reply: DuplexRequest.Answer
    do throws(Refusal) { reply = try await self.reply(answer, on: channel, at: address) } catch {
      guard isSent, case .door(let error) = error, error.kind != .refused else { throw error }
      // It may have been heard.
      throw .door(DoorError(.lost, error.message, hint: error.hint))
    }
    if reply.status == .ok { return channel }
    if !reply.isAboutUs { throw .farSide(reply.status, reply.words) }
    throw .door(refusal(reply, path, address))
  }

  private func reply(
    _ answer: EventLoopFuture<DuplexRequest.Answer>, on channel: ByteChannel, at address: String
  ) async throws(Refusal) -> DuplexRequest.Answer {
    do {
      return try await withDeadline(after: settings.stepWithin, on: loop) { try await answer.get() }
    } catch {
      channel.close()
      throw .door(unreachable(address, error))
    }
  }

  func refusal(_ reply: DuplexRequest.Answer, _ path: String, _ address: String) -> DoorError {
    let words = "\(reply.status.code) \(escapedForTerminal(reply.words))"
    guard reply.isAboutUs else {
      return DoorError(.unusable, "\(place(address)): the agent can't open \(path): \(words)")
    }
    return DoorError(
      .refused, "\(place(address)): the agent does not let us in: \(words)",
      hint: "see controllers:, tunnels: and token_sha256: in its configuration, and switchyard cert status")
  }

  private func connected(
    _ path: String, _ address: String, _ method: HTTPMethod = .POST
  ) async throws(Refusal) -> (ByteChannel, EventLoopFuture<DuplexRequest.Answer>) {
    var headers: HTTPHeaders = [
      "Host": address.contains(":") ? "[\(address)]" : address, "Content-Type": "application/octet-stream",
      "Transfer-Encoding": "chunked", "User-Agent": "switchyard/\(switchyardVersion)",
    ]
    token?.add(to: &headers)
    let head = HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: headers)
    let eventLoop = group.next()
    let answer = eventLoop.makePromise(of: DuplexRequest.Answer.self)
    let dialed = Dialed()
    do {
      let channel = try await withDeadline(after: settings.stepWithin, on: loop) { [self] in
        try await connect(on: eventLoop, to: address, head, answer, dialed)
      }
      return (channel, answer.futureResult)
    } catch {
      answer.fail(error)
      dialed.giveUp()
      throw .door(unreachable(address, error))
    }
  }

  private func connect(
    on eventLoop: any NIOCore.EventLoop, to address: String, _ head: HTTPRequestHead,
    _ answer: EventLoopPromise<DuplexRequest.Answer>, _ dialed: Dialed
  ) async throws -> ByteChannel {
    let isNumeric = (try? SocketAddress(ipAddress: address, port: 0)) != nil  // An error says: a name.
    // Of a name's addresses the first that answers: only its channel is ever spoken on.
    let channel = try await ClientBootstrap(group: eventLoop)
      .connectTimeout(.nanoseconds(settings.stepWithin.components.seconds * 1_000_000_000))
      .channelOption(.socketOption(.so_keepalive), value: 1)
      .connect(host: address, port: settings.port).get()
    try dialed.keep(channel)
    return try await eventLoop.submit { [context, isRevoked] in
      let pipeline = channel.pipeline.syncOperations
      // The name, or where there is none the address, must be among those of the certificate.
      try pipeline.addHandler(
        NIOSSLClientHandler(context: context, serverHostname: isNumeric ? nil : address))
      if let isRevoked { try pipeline.addHandler(RevocationGate(isRevoked)) }
      try pipeline.addHandler(HTTPRequestEncoder())
      try pipeline.addHandler(ByteToMessageHandler(HTTPResponseDecoder()))
      try pipeline.addHandler(DuplexRequest(head, answer))
      return try ByteChannel.made(of: channel)
    }.get()
  }

  func unreachable(_ address: String, _ error: any Error) -> DoorError {
    let (place, words) = (place(address), escapedForTerminal(connectionWords(error)))
    if Self.isDistrust(error) {
      return DoorError(
        .refused, "\(place): no trust between the agent and us: \(words)",
        hint: """
          its certificate must name this address, be from the authority and be valid by this machine's clock, ours must be \
          a controller's
          """)
    }
    return DoorError(
      .unreachable, "\(place): no agent answers: \(words)",
      hint: "see whether the agent runs there and the port is open")
  }

  /// A connection that merely ends is no lack of trust.
  private static func isDistrust(_ error: any Error) -> Bool {
    if case .uncleanShutdown? = error as? NIOSSLError { return false }
    return error is AgentRevoked || error is NIOSSLError || error is NIOSSLExtraError
      || error is BoringSSLError
  }
}

/// A connection that whoever asked for it may give up before it is there.
private final class Dialed: Sendable {
  private let state = Mutex<(channel: (any Channel)?, isGivenUp: Bool)>((nil, false))

  /// Throws, and closes the channel, where nobody wants it any more.
  func keep(_ channel: any Channel) throws {
    let isGivenUp = state.withLock { state in
      state.channel = channel
      return state.isGivenUp
    }
    guard isGivenUp else { return }
    channel.close(promise: nil)
    throw CancellationError()
  }

  func giveUp() {
    let channel = state.withLock { state in
      state.isGivenUp = true
      return state.channel
    }
    channel?.close(promise: nil)
  }
}
