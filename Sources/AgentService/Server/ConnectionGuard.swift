import HTTPTypes
import Logging
import NIOCore
import NIOHTTPTypes
import NIOSSL

/// Ends a connection on which no request comes in time, or the client of which has gone; tells of handshakes that failed.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  private let limits: Limits
  private let connections: Connections
  private let log: Logger
  /// Requests whose answer has not ended.
  private var open = 0
  private var timer: Scheduled<Void>?

  init(limits: Limits, connections: Connections, log: Logger) {
    self.limits = limits
    self.connections = connections
    self.log = log
  }

  func handlerAdded(context: ChannelHandlerContext) { wait(limits.firstHead, context) }

  func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

  func channelInactive(context: ChannelHandlerContext) {
    timer?.cancel()
    context.fireChannelInactive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .head = unwrapInboundIn(data) {
      open += 1
      connections.asks(context.channel)
      timer?.cancel()
      timer = nil
    }
    context.fireChannelRead(data)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    if case .end = unwrapOutboundIn(data) {
      open = max(0, open - 1)
      connections.isAnswered(context.channel)
      if open == 0 { wait(limits.idle, context) }
    }
    context.write(data, promise: promise)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    context.fireUserInboundEventTriggered(event)
    // A client that sends nothing more has gone: a request's end is said in HTTP, not by the connection.
    if case .some(.inputClosed) = event as? ChannelEvent { context.close(promise: nil) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if case .some(.handshakeFailed(let why)) = error as? NIOSSLError {
      // Probes that only connect come every second, and say nothing.
      log.log(
        level: why == .sslError([.eofDuringHandshake]) ? .debug : .notice,
        "a client was refused in the TLS handshake",
        metadata: [
          "peer": .string(peer(context.remoteAddress)), "reason": .string("\(why)"),
        ])
    }
    context.fireErrorCaught(error)
  }

  private func wait(_ limit: Duration, _ context: ChannelHandlerContext) {
    timer?.cancel()
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    timer = context.eventLoop.scheduleTask(in: TimeAmount(limit)) { bound.value.close(promise: nil) }
  }
}
