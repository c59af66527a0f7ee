import NIOCore
import NIOHTTP1

/// One HTTP request whose body and answer stream at the same time: bytes on the one side, HTTP on the other.
final class DuplexRequest: ChannelDuplexHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias InboundOut = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = HTTPClientRequestPart

  /// How the request was answered.
  struct Answer: Sendable {
    var status: HTTPResponseStatus
    /// The body of an answer that is no stream, so far as it is short.
    var words: String

    /// Whether it says that we are not let in, whatever we ask for.
    var isAboutUs: Bool {
      status == .unauthorized || status == .forbidden && words.contains(#""code":"forbidden""#)
    }
  }

  private let head: HTTPRequestHead
  private var answer: EventLoopPromise<Answer>?
  private var refusal: HTTPResponseStatus?
  private var words = ByteBuffer()

  private static let mostWords = 4096

  init(_ head: HTTPRequestHead, _ answer: EventLoopPromise<Answer>) {
    self.head = head
    self.answer = answer
  }

  func handlerAdded(context: ChannelHandlerContext) {
    // It goes out once the handshake is over.
    context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    context.write(wrapOutboundOut(.body(.byteBuffer(unwrapOutboundIn(data)))), promise: promise)
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    if case .output = mode {
      // The request's end: the connection stays for the answer.
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
    } else {
      context.close(mode: mode, promise: promise)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      if head.status == .ok {
        answer?.succeed(Answer(status: .ok, words: ""))
        answer = nil
      } else if head.status.code >= 200 {
        refusal = head.status
      }
    case .body(var bytes):
      if refusal == nil {
        context.fireChannelRead(wrapInboundOut(bytes))
      } else if words.readableBytes + bytes.readableBytes <= Self.mostWords {
        words.writeBuffer(&bytes)
      }
    case .end:
      if let refusal {
        answer?.succeed(Answer(status: refusal, words: String(buffer: words)))
        answer = nil
        context.close(promise: nil)
      } else {
        context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
      }
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    answer?.fail(error)
    answer = nil
    context.fireErrorCaught(error)
  }

  func channelInactive(context: ChannelHandlerContext) {
    answer?.fail(ChannelError.eof)
    answer = nil
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    answer?.fail(ChannelError.eof)
    answer = nil
  }
}
