import EventLoop
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Ports
import RolloutModel

/// Makes requests to agents, each over a connection of its own, with mutual TLS.
struct RPCClient: Sendable {
  let settings: RPCSettings
  let group: MultiThreadedEventLoopGroup
  let loop: HomeLoop
  private let context: NIOSSLContext

  /// Reads the settings' files: it blocks.
  init(_ settings: RPCSettings, group: MultiThreadedEventLoopGroup, loop: HomeLoop) throws(DoorError) {
    self.settings = settings
    self.group = group
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
    tls.certificateChain = try read("our certificate", settings.certificate) {
      try NIOSSLCertificate.fromPEMFile(settings.certificate).map { .certificate($0) }
    }
    tls.privateKey = .privateKey(
      try read("our certificate's key", settings.key) {
        try NIOSSLPrivateKey(file: settings.key, format: .pem)
      })
    context = try read("our certificate", settings.certificate) { [tls] in
      try NIOSSLContext(configuration: tls)
    }
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
    /// The agent says that the far side of the stream refuses it.
    case farSide(String)
  }

  /// Opens a stream: a POST to `path` whose body and answer flow at the same time.
  func open(_ path: String, at address: String) async throws(Refusal) -> ByteChannel {
    let (channel, answer) = try await connected(path, address)
    let reply: DuplexRequest.Answer
    do {
      reply = try await withDeadline(after: settings.stepWithin, on: loop) { try await answer.get() }
    } catch {
      channel.close()
      throw .door(unreachable(address, error))
    }
    if reply.status == .ok { return channel }
    let words = "\(reply.status.code) \(escapedForTerminal(reply.words))"
    switch reply.status {
    case .badGateway: throw .farSide(words)
    case .unauthorized, .forbidden:
      throw .door(
        DoorError(
          .refused, "\(place(address)): the agent does not let us in: \(words)",
          hint: "see controllers: in its configuration, and switchyard cert status"))
    default:
      throw .door(DoorError(.unusable, "\(place(address)): the agent can't open \(path): \(words)"))
    }
  }

  private func connected(
    _ path: String, _ address: String
  ) async throws(Refusal) -> (ByteChannel, EventLoopFuture<DuplexRequest.Answer>) {
    let head = HTTPRequestHead(
      version: .http1_1, method: .POST, uri: path,
      headers: [
        "Host": address.contains(":") ? "[\(address)]" : address, "Content-Type": "application/octet-stream",
        "Transfer-Encoding": "chunked", "User-Agent": "switchyard/\(switchyardVersion)",
      ])
    let eventLoop = group.next()
    let answer = eventLoop.makePromise(of: DuplexRequest.Answer.self)
    // Whoever gives up before the answer does not ask for it.
    answer.futureResult.whenFailure { _ in }
    do {
      let channel = try await withDeadline(after: settings.stepWithin, on: loop) { [self] in
        try await connect(on: eventLoop, to: address, head, answer)
      }
      return (channel, answer.futureResult)
    } catch {
      answer.fail(error)
      throw .door(unreachable(address, error))
    }
  }

  private func connect(
    on eventLoop: any NIOCore.EventLoop, to address: String, _ head: HTTPRequestHead,
    _ answer: EventLoopPromise<DuplexRequest.Answer>
  ) async throws -> ByteChannel {
    let isNumeric = (try? SocketAddress(ipAddress: address, port: 0)) != nil  // An error says: a name.
    let context = context
    let made = eventLoop.makePromise(of: ByteChannel.self)
    made.futureResult.whenFailure { _ in }
    do {
      _ = try await ClientBootstrap(group: eventLoop)
        .connectTimeout(.nanoseconds(settings.stepWithin.components.seconds * 1_000_000_000))
        .channelOption(.socketOption(.so_keepalive), value: 1)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            let request = DuplexRequest(head, answer)
            let pipeline = channel.pipeline.syncOperations
            // The name, or where there is none the address, must be among those of the certificate.
            try pipeline.addHandler(
              NIOSSLClientHandler(context: context, serverHostname: isNumeric ? nil : address))
            try pipeline.addHandler(HTTPRequestEncoder())
            try pipeline.addHandler(ByteToMessageHandler(HTTPResponseDecoder()))
            try pipeline.addHandler(request)
            made.succeed(try ByteChannel.made(of: channel))
          }
        }
        .connect(host: address, port: settings.port).get()
      return try await made.futureResult.get()
    } catch {
      made.fail(error)
      throw error
    }
  }

  private func unreachable(_ address: String, _ error: any Error) -> DoorError {
    let (place, words) = (place(address), escapedForTerminal(Self.words(for: error)))
    if error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError {
      return DoorError(
        .refused, "\(place): no trust between the agent and us: \(words)",
        hint: "its certificate must name this address and be from the authority, ours must be a controller's")
    }
    return DoorError(
      .unreachable, "\(place): no agent answers: \(words)",
      hint: "see whether the agent runs there and the port is open")
  }

  private static func words(for error: any Error) -> String {
    switch error {
    case is DeadlineExceeded: "nothing came in time"
    case let error as NIOConnectionError:
      error.connectionErrors.first.map { "\($0.error)" }
        ?? error.dnsAError.map { "\($0)" } ?? "no address"
    case ChannelError.eof, ChannelError.ioOnClosedChannel: "the connection was closed"
    default: "\(error)"
    }
  }
}
