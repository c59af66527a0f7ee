import NIOCore
import NIOSSL
import NIOTLS

/// Says of an agent's certificate, in DER, whether its authority has taken it back.
public typealias RevokedAgents = @Sendable (_ certificate: [UInt8]) -> Bool

/// The agent's certificate was taken back: whoever has its key is not to be told anything.
struct AgentRevoked: Error, CustomStringConvertible {
  var description: String { "its certificate is revoked" }
}

/// Lets nothing out before the handshake has shown a certificate that still counts. It lies above TLS, which knows no lists.
final class RevocationGate: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer

  private let isRevoked: RevokedAgents
  private var isOpen = false
  private var waiting: [(data: NIOAny, promise: EventLoopPromise<Void>?)] = []

  init(_ isRevoked: @escaping RevokedAgents) { self.isRevoked = isRevoked }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    // A request's head and the beginning of its body: whoever writes more waits until these are out.
    if isOpen { context.write(data, promise: promise) } else { waiting.append((data, promise)) }
  }

  func flush(context: ChannelHandlerContext) {
    if isOpen { context.flush() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent { judge(context) }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    giveUp(ChannelError.ioOnClosedChannel)
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { giveUp(ChannelError.ioOnClosedChannel) }

  private func judge(_ context: ChannelHandlerContext) {
    // Without one the handshake would have failed.
    guard
      let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()?.toDERBytes(),
      !isRevoked(certificate)
    else {
      giveUp(AgentRevoked())
      context.fireErrorCaught(AgentRevoked())
      context.close(promise: nil)
      return
    }
    isOpen = true
    for (data, promise) in waiting { context.write(data, promise: promise) }
    waiting = []
    context.flush()
  }

  private func giveUp(_ error: any Error) {
    for (_, promise) in waiting { promise?.fail(error) }
    waiting = []
  }
}
