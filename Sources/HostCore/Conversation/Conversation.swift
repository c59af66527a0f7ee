import Glibc
import HostProtocol
import RolloutModel

/// Speaks HostProtocol over two descriptors until the other side ends it.
package struct Conversation {
  private let input: Int32
  private let output: Int32

  /// A controller that is quiet for this long has gone; it may come back with a new conversation.
  private static let idle = Span.seconds(1800)
  /// Requests that belong together follow each other sooner than this.
  private static let moment = Span.seconds(1)
  private static let writeWithin = Span.seconds(60)

  /// A conversation over these descriptors, which stay the caller's.
  package init(input: Int32, output: Int32) {
    self.input = input
    self.output = output
  }

  /// Answers until the end of the input.
  package func run(_ service: HostService) throws(HostFailure) {
    var reader = FrameReader()
    var greeted = false
    while true {
      if try !wait(input, POLLIN, Self.moment, mayEnd: true) {
        service.rest()
        guard try wait(input, POLLIN, Self.idle, mayEnd: true) else { return }
      }
      guard let bytes = try readOnce(input, limit: 256 * 1024, what: "reading the conversation") else {
        continue
      }
      if bytes.isEmpty { return }
      reader.push(bytes)
      while let frame = try next(&reader) {
        switch frame {
        case .data(let piece): service.take(piece)
        case .request(let request):
          if greeted {
            try answer(request, service)
          } else {
            try send(try greet(request, service, &greeted))
          }
        case .reply:
          throw HostFailure(.invalid, "the controller sent a reply, which only a host does")
        }
      }
    }
  }

  /// One answer goes out to each request: where it was begun with, that is the answer.
  private func answer(_ request: HostRequest, _ service: HostService) throws(HostFailure) {
    var isAnswered = false
    let reply = service.answer(request) {
      isAnswered = true
      // Who asked may have gone: what is begun goes on.
      _ = try? send(.begun)
    }
    if !isAnswered { try send(reply) }
  }

  private func greet(
    _ request: HostRequest, _ service: HostService, _ greeted: inout Bool
  ) throws(HostFailure) -> HostReply {
    guard case .hello = request else {
      return .failed(HostFailure(.invalid, "a conversation begins with a hello"))
    }
    let reply = service.answer(request)
    if case .hello = reply { greeted = true }
    return reply
  }

  /// The next frame. A request that can't be understood is answered; a broken stream is the end.
  private func next(_ reader: inout FrameReader) throws(HostFailure) -> Frame? {
    while true {
      do throws(FrameError) { return try reader.next() } catch {
        let failure = HostFailure(
          .unsupported, "this host program can't read what came: \(escapedForTerminal("\(error)"))",
          hint: "use the host program that came with the controller")
        try send(.failed(failure))
        guard case .malformed = error else { throw failure }
      }
    }
  }

  private func send(_ reply: HostReply) throws(HostFailure) {
    let bytes: [UInt8]
    do { bytes = try Frame.reply(reply).encoded() } catch {
      throw HostFailure(.system, "a reply can't be encoded: \(escapedForTerminal("\(error)"))")
    }
    // Pieces of the size that a ready pipe takes without blocking.
    var rest = bytes[...]
    while !rest.isEmpty {
      guard try wait(output, POLLOUT, Self.writeWithin) else {
        throw HostFailure(.deadline, "the controller took no answer for \(Self.writeWithin)")
      }
      try writeAll(output, rest.prefix(4096), what: "answering the controller")
      rest = rest.dropFirst(4096)
    }
  }

  /// False where nothing happened in time. Where the process may end, it does by a SIGTERM that came.
  private func wait(
    _ descriptor: Int32, _ what: Int32, _ span: Span, mayEnd: Bool = false
  ) throws(HostFailure) -> Bool {
    let deadline = Deadline(in: span)
    while !deadline.passed {
      var wait = pollfd(fd: descriptor, events: Int16(what), revents: 0)
      let ready =
        mayEnd
        ? EndSignal.poll(descriptor, Int16(what), limit: deadline.pollTimeout())
        : poll(&wait, 1, deadline.pollTimeout())
      if ready > 0 { return true }
      if ready < 0 && errno != EINTR { throw systemFailure("waiting for the controller") }
    }
    return false
  }
}
