import NIOCore

/// Ends a connection at once, past TLS, which would wait for the client to say goodbye. It lies below TLS.
final class Severing: ChannelOutboundHandler {
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private struct Order: Sendable {}

  /// Ends a connection that has this handler.
  static func sever(_ channel: any Channel) { channel.triggerUserOutboundEvent(Order(), promise: nil) }

  func triggerUserOutboundEvent(
    context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
  ) {
    guard event is Order else { return context.triggerUserOutboundEvent(event, promise: promise) }
    context.close(promise: promise)
  }
}
