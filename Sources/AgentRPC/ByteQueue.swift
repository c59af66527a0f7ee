import NIOCore

/// What has come over a channel and was not taken yet. While much of it waits, no more is read.
final class ByteQueue: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private var waiting: ByteBuffer?
  private var hasEnded = false
  private var failure: (any Error)?
  private var taker: EventLoopPromise<[UInt8]>?
  private var isPaused = false
  private var context: ChannelHandlerContext?

  /// Above this nothing more is read for the time being.
  private static let limit = 256 * 1024

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    end()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var bytes = unwrapInboundIn(data)
    if waiting == nil { waiting = bytes } else { waiting?.writeBuffer(&bytes) }
    give()
    pauseOrGoOn()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .inputClosed? = event as? ChannelEvent { end() }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if failure == nil { failure = error }
    give()
    context.close(promise: nil)
  }

  /// The next bytes; none at the end. One at a time may ask.
  func take(on loop: any NIOCore.EventLoop) -> EventLoopFuture<[UInt8]> {
    let promise = loop.makePromise(of: [UInt8].self)
    taker?.succeed([])
    taker = promise
    give()
    pauseOrGoOn()
    return promise.futureResult
  }

  private func end() {
    hasEnded = true
    give()
  }

  private func give() {
    guard let taker else { return }
    if let bytes = waiting, bytes.readableBytes > 0 {
      waiting = nil
      self.taker = nil
      taker.succeed(Array(bytes.readableBytesView))
    } else if let failure {
      self.taker = nil
      taker.fail(failure)
    } else if hasEnded {
      self.taker = nil
      taker.succeed([])
    }
  }

  private func pauseOrGoOn() {
    let isFull = (waiting?.readableBytes ?? 0) >= Self.limit
    guard isFull != isPaused, let context else { return }
    isPaused = isFull
    context.channel.setOption(.autoRead, value: !isFull).whenFailure { [channel = context.channel] _ in
      // Only a channel that is closed already has no such setting.
      channel.close(promise: nil)
    }
  }
}
