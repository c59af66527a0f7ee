import EventLoop
import FoundationEssentials
import Glibc
import RolloutModel

/// What a running controller answers to a person's order.
public struct ControlReply: Hashable, Sendable, Codable {
  /// How the rollout stands behind the order.
  public var state: RolloutState
  /// Why it stands so.
  public var reason: String

  /// A reply from its parts.
  public init(state: RolloutState, reason: String) {
    self.state = state
    self.reason = reason
  }
}

/// Listens on a Unix socket for orders of the same user, or of root: one JSON line in, one out, a connection.
public final class ControlServer: Sendable {
  private let loop: EventLoop
  private let path: String
  private let conversations: Conversations

  /// Begins to listen; an order that is not answered was not taken. The caller holds the rollout's lock, so that a socket that is there already is a dead controller's.
  public init(
    loop: EventLoop, path: String, answer: @escaping @Sendable (Order) async -> ControlReply?
  ) async throws(ControlError) {
    self.loop = loop
    self.path = path
    let listener = try Self.listen(path)
    let conversations = Conversations(loop: loop, answer: answer)
    self.conversations = conversations
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
      loop.submit {
        conversations.listen(on: listener)
        done.resume()
      }
    }
  }

  /// Ends listening and removes the socket.
  public func close() async {
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
      loop.submit { [conversations, path] in
        conversations.close()
        unlink(path)
        done.resume()
      }
    }
  }

  private static func listen(_ path: String) throws(ControlError) -> Int32 {
    let address = try ControlSocket.address(path)
    let descriptor = socket(
      AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { throw ControlError("no socket can be made", code: errno) }
    unlink(path)
    // Narrow from the first moment on: the file is made with these bits.
    let mask = umask(0o177)
    let bound = ControlSocket.with(address) { bind(descriptor, $0, $1) }
    umask(mask)
    guard bound == 0, Glibc.listen(descriptor, 16) == 0 else {
      let code = errno
      Glibc.close(descriptor)
      throw ControlError("the control socket \(path) can't be opened", code: code)
    }
    return descriptor
  }
}

/// The connections of a control server. `@unchecked Sendable`: touched by the loop's thread alone.
private final class Conversations: @unchecked Sendable {
  private static let mostAtOnce = 16
  private static let longestLine = 256 * 1024
  private static let patience = Duration.seconds(10)

  private final class Conversation {
    let descriptor: Int32
    var watch: Watch?
    var timer: LoopTimer?
    var received: [UInt8] = []
    init(_ descriptor: Int32) { self.descriptor = descriptor }
  }

  private let loop: EventLoop
  private let answer: @Sendable (Order) async -> ControlReply?
  private var listener: (descriptor: Int32, watch: Watch)?
  private var open: [Int32: Conversation] = [:]

  init(loop: EventLoop, answer: @escaping @Sendable (Order) async -> ControlReply?) {
    self.loop = loop
    self.answer = answer
  }

  func listen(on descriptor: Int32) {
    do {
      listener = (descriptor, try loop.watch(descriptor, .read) { [unowned self] _ in accept() })
    } catch {
      // Without a watch nobody is answered: clients see a refused connection and say so.
      Glibc.close(descriptor)
    }
  }

  func close() {
    for conversation in open.values { end(conversation) }
    if let listener {
      listener.watch.cancel()
      Glibc.close(listener.descriptor)
    }
    listener = nil
  }

  private func accept() {
    guard let listener else { return }
    let descriptor = Glibc.accept(listener.descriptor, nil, nil)
    guard descriptor >= 0 else { return }
    guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0, fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0,
      open.count < Self.mostAtOnce, ControlSocket.isTrusted(descriptor)
    else {
      Glibc.close(descriptor)
      return
    }
    let conversation = Conversation(descriptor)
    do {
      conversation.watch = try loop.watch(descriptor, .read) { [unowned self] _ in read(conversation) }
    } catch {
      Glibc.close(descriptor)
      return
    }
    conversation.timer = loop.after(Self.patience) { [unowned self] in end(conversation) }
    open[descriptor] = conversation
  }

  private func read(_ conversation: Conversation) {
    var buffer = [UInt8](repeating: 0, count: 8192)
    let count = Glibc.read(conversation.descriptor, &buffer, buffer.count)
    if count < 0, errno == EAGAIN || errno == EINTR { return }
    guard count > 0, conversation.received.count + count <= Self.longestLine else {
      end(conversation)
      return
    }
    conversation.received += buffer[..<count]
    guard let newline = conversation.received.firstIndex(of: UInt8(ascii: "\n")) else { return }
    conversation.watch?.cancel()
    conversation.watch = nil
    guard let order = try? JSONDecoder().decode(Order.self, from: Data(conversation.received[..<newline]))
    else {
      // A line that is no order comes from no client of ours: it gets no answer.
      end(conversation)
      return
    }
    let descriptor = conversation.descriptor
    Task { [answer, loop] in
      let reply = await answer(order)
      loop.submit { [weak self] in self?.send(reply, to: descriptor) }
    }
  }

  private func send(_ reply: ControlReply?, to descriptor: Int32) {
    guard let conversation = open[descriptor] else { return }
    if let reply, let line = try? canonicalJSON(reply) + [UInt8(ascii: "\n")] {
      // A reply fits into an empty socket buffer; a client that is gone has no use for it.
      _ = Glibc.send(descriptor, line, line.count, Int32(MSG_NOSIGNAL))
    }
    end(conversation)
  }

  private func end(_ conversation: Conversation) {
    guard open.removeValue(forKey: conversation.descriptor) != nil else { return }
    conversation.watch?.cancel()
    conversation.timer?.cancel()
    Glibc.close(conversation.descriptor)
  }
}
