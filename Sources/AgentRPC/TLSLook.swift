import EventLoop
import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Ports
import RolloutModel

/// Sees which certificate an agent shows to new connections.
public final class TLSLook: CertificateLook {
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let context: NIOSSLContext
  private let loop: HomeLoop

  /// A look that keeps its deadlines on `loop`.
  public init(loop: HomeLoop) throws(DoorError) {
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.minimumTLSVersion = .tlsv12
    // Whoever takes the certificate judges it.
    tls.certificateVerification = .noHostnameVerification
    do { context = try NIOSSLContext(configuration: tls) } catch {
      throw DoorError(.local, "TLS can't be set up: \(escapedForTerminal("\(error)"))")
    }
    self.loop = loop
  }

  /// The certificate in DER.
  public func servedCertificate(
    at route: ProbeRoute, within limit: Duration
  ) async throws(DoorError) -> [UInt8] {
    do {
      return try await withDeadline(after: limit, on: loop) { [self] in
        try await shown(by: try await connected(to: route, within: limit))
      }
    } catch {
      throw DoorError(
        .unreachable,
        "\(Self.place(route)): no agent shows a certificate: \(escapedForTerminal(connectionWords(error)))",
        hint: "see whether the agent runs there and the port is open")
    }
  }

  /// Through a tunnel it can't be told from a way that is closed.
  public func isClosed(at route: ProbeRoute, within limit: Duration) async -> Bool {
    guard case .direct(let address, let port) = route else { return false }
    let wait = TimeAmount.nanoseconds(limit.components.seconds * 1_000_000_000)
    do {
      let channel = try await ClientBootstrap(group: group).connectTimeout(wait).connect(
        host: address, port: port
      ).get()
      channel.close(promise: nil)
      return false
    } catch let error as NIOConnectionError {
      return !error.connectionErrors.isEmpty
        && error.connectionErrors.allSatisfy { ($0.error as? IOError)?.errnoCode == ECONNREFUSED }
    } catch {
      return (error as? IOError)?.errnoCode == ECONNREFUSED
    }
  }

  /// Ends the look's thread.
  public func close() async {
    do { try await group.shutdownGracefully() } catch {
      // Shut down already: that is all that it says.
    }
  }

  private func connected(to route: ProbeRoute, within limit: Duration) async throws -> any Channel {
    let context = context
    let limit = TimeAmount.nanoseconds(limit.components.seconds * 1_000_000_000)
    let bootstrap = ClientBootstrap(group: group).connectTimeout(limit).channelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        let wait = NIOLoopBound(
          CertificateWait(channel.eventLoop.makePromise(of: [UInt8].self)), eventLoop: channel.eventLoop)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(
          NIOSSLClientHandler(context: context, serverHostname: nil) { chain, verdict in
            wait.value.shown = Result { try chain.first?.toDERBytes() ?? [] }
            verdict.succeed(.certificateVerified)
          })
        try pipeline.addHandler(wait.value)
        // Nobody waits for it any more then.
        channel.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
      }
    }
    switch route {
    case .direct(let address, let port): return try await bootstrap.connect(host: address, port: port).get()
    case .tunnel(let socket, _, _): return try await bootstrap.connect(unixDomainSocketPath: socket).get()
    }
  }

  private func shown(by channel: any Channel) async throws -> [UInt8] {
    defer { channel.close(promise: nil) }
    return try await channel.eventLoop.flatSubmit {
      do {
        return try channel.pipeline.syncOperations.handler(type: CertificateWait.self).certificate
          .futureResult
      } catch {
        return channel.eventLoop.makeFailedFuture(error)
      }
    }.get()
  }

  private static func place(_ route: ProbeRoute) -> String {
    switch route {
    case .direct(let address, let port), .tunnel(_, let address, let port):
      escapedForTerminal(address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)")
    }
  }
}

/// Waits for the handshake's end: until then anybody may have shown a certificate, whose key only its owner has. Says that none
/// comes any more where the connection ends before.
private final class CertificateWait: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  let certificate: EventLoopPromise<[UInt8]>
  /// What was shown in the handshake.
  var shown: Result<[UInt8], any Error> = .success([])

  init(_ certificate: EventLoopPromise<[UInt8]>) { self.certificate = certificate }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent { certificate.completeWith(shown) }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    certificate.fail(error)
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    certificate.fail(ChannelError.eof)
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { certificate.fail(ChannelError.eof) }
}
