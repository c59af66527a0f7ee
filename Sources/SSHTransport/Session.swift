import CSSH2
import EventLoop
import Glibc

/// One libssh2 session on a connected, non-blocking descriptor that it owns. Lives on the loop.
///
/// libssh2 wants a call that would block repeated with the same arguments, and while a packet of it is half sent no
/// other call may be made. So every call goes through here: whole-session calls (`solo`) in order, one at a time,
/// the channels' calls in between, and one that has half sent (`half`) before all others.
///
/// A call that reads takes in packets for everybody. Hence a pump goes on until a round has received nothing: else
/// bytes that one channel's call took in for another would lie there while the descriptor is silent.
final class Session {
  /// A libssh2 call, and what becomes of its result.
  final class Call {
    let run: () -> Int
    private var body: ((Int) -> Void)?

    /// `run` must do the same each time.
    init(run: @escaping () -> Int, finish: @escaping (Int) -> Void) {
      self.run = run
      body = finish
    }

    /// Hands on the result, once.
    func finish(_ result: Int) {
      let finish = body
      body = nil
      finish?(result)
    }
  }

  static let wouldBlock = Int(LIBSSH2_ERROR_EAGAIN)
  /// The result that calls get when the session has failed.
  static let gone = Int(LIBSSH2_ERROR_SOCKET_DISCONNECT)

  let handle: OpaquePointer
  let descriptor: Int32
  private let loop: EventLoop
  private let received: UnsafeMutablePointer<UInt64>
  private var watch: Watch?
  private var solo: [Call] = []
  private var half: Call?
  private var isPumping = false
  private var mustPumpAgain = false
  private(set) var channels: [Channel] = []
  /// Where channels read to; between two calls it holds nothing.
  var readBuffer = [UInt8](repeating: 0, count: 32768)
  /// Why nothing goes any more.
  private(set) var failure: SSHError.Reason?
  /// Called on the loop when the session fails.
  var onFailure: (() -> Void)?
  private(set) var lastReceived = EventLoop.now

  private static let isLibraryReady = libssh2_init(0) == 0

  /// Takes over the descriptor, also when this fails.
  init(descriptor: Int32, loop: EventLoop) throws(LocalFileError) {
    received = .allocate(capacity: 1)
    received.initialize(to: 0)
    guard Self.isLibraryReady, let handle = cssh2_session(received) else {
      received.deallocate()
      close(descriptor)
      throw LocalFileError(path: "libssh2", code: ENOMEM)
    }
    self.handle = handle
    self.descriptor = descriptor
    self.loop = loop
  }

  deinit {
    for channel in channels { channel.release() }
    // With its socket shut down the session can't wait for anything; the count is a belt to these braces.
    shutdown(descriptor, Int32(SHUT_RDWR))
    for _ in 0..<64 where libssh2_session_free(handle) != Int32(Self.wouldBlock) { break }
    close(descriptor)
    received.deallocate()
  }

  /// Begins to watch the descriptor.
  func start() throws(EventLoopError) {
    watch = try loop.watch(descriptor, .read) { [weak self] _ in self?.pump() }
  }

  /// How much has come in.
  var receivedBytes: UInt64 { received.pointee }

  /// True while something waits for the other side.
  var isExpecting: Bool { half != nil || !solo.isEmpty || channels.contains { $0.wantsToRead } }

  /// The words of libssh2 for its last error.
  var lastError: String {
    var text: UnsafeMutablePointer<CChar>?
    var length: Int32 = 0
    libssh2_session_last_error(handle, &text, &length, 0)
    return text.map { String(cString: $0) } ?? "unknown error"
  }

  /// Makes a call of the whole session, after those before it.
  func perform(_ call: Call) {
    guard failure == nil else { return call.finish(Self.gone) }
    solo.append(call)
    pump()
  }

  /// True when the descriptor has been closed by the other side, seen without reading.
  var isClosedByPeer: Bool {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT))
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)
  }

  /// Asks the other side for a sign of life, where that can be sent whole.
  func sendKeepalive() {
    var writable = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    // libssh2 forgets a keepalive that was half sent, and the session with it.
    guard failure == nil, half == nil, poll(&writable, 1, 0) == 1, writable.revents == Int16(POLLOUT) else {
      return
    }
    var next: Int32 = 0
    // One becomes two seconds, fewer than lie between any two of ours.
    libssh2_keepalive_config(handle, 1, 1)
    libssh2_keepalive_send(handle, &next)
    guard next > 2 else { return }
    // libssh2 goes by the wall clock, which was turned back: no interval may keep this one from being sent.
    libssh2_keepalive_config(handle, 1, UInt32(bitPattern: .min))
    libssh2_keepalive_send(handle, &next)
  }

  /// Ends everything that waits. The first reason stays.
  func fail(_ reason: SSHError.Reason) {
    guard failure == nil else { return }
    failure = reason
    watch?.cancel()
    watch = nil
    let calls = solo + [half].compactMap { $0 }
    half = nil
    solo = []
    for call in calls { call.finish(Self.gone) }
    for channel in channels { channel.tell() }
    onFailure?()
  }

  // MARK: Channels

  func add(_ channel: Channel) {
    channels.append(channel)
    pump()
  }

  func remove(_ channel: Channel) { channels.removeAll { $0 === channel } }

  /// Makes a channel's call unless another is half sent. True when it was completed.
  func attempt(_ call: Call) -> Bool {
    guard half == nil, failure == nil else { return false }
    return make(call)
  }

  private func make(_ call: Call) -> Bool {
    let result = call.run()
    if result == Self.wouldBlock {
      let isHalfSent = libssh2_session_block_directions(handle) & LIBSSH2_SESSION_BLOCK_OUTBOUND != 0
      half = isHalfSent ? call : nil
      return false
    }
    half = nil
    if solo.first === call { solo.removeFirst() }
    switch Int32(clamping: result) {
    case LIBSSH2_ERROR_SOCKET_DISCONNECT, LIBSSH2_ERROR_SOCKET_RECV, LIBSSH2_ERROR_SOCKET_SEND,
      LIBSSH2_ERROR_SOCKET_TIMEOUT, LIBSSH2_ERROR_DECRYPT, LIBSSH2_ERROR_INVALID_MAC, LIBSSH2_ERROR_PROTO,
      LIBSSH2_ERROR_BAD_USE, LIBSSH2_ERROR_OUT_OF_BOUNDARY, LIBSSH2_ERROR_ALLOC:
      let words = lastError
      call.finish(result)
      fail(.lost(words))
    default:
      call.finish(result)
    }
    return true
  }

  // MARK: The pump

  /// Makes every call that can be made, then waits for what they wait for.
  func pump() {
    guard !isPumping else {
      mustPumpAgain = true
      return
    }
    isPumping = true
    let beginning = received.pointee
    var before: UInt64
    var hasProgress: Bool
    repeat {
      before = received.pointee
      mustPumpAgain = false
      hasProgress = round()
    } while failure == nil && (hasProgress || mustPumpAgain || received.pointee != before)
    if received.pointee != beginning { lastReceived = EventLoop.now }
    isPumping = false
    updateInterest()
    for channel in channels where channel.hasNews { channel.tell() }
  }

  private func round() -> Bool {
    var hasProgress = false
    if let call = half {
      hasProgress = make(call)
      if half != nil { return hasProgress }
    }
    if let first = solo.first, make(first) { hasProgress = true }
    for channel in channels where half == nil && failure == nil {
      if channel.advance(in: self) { hasProgress = true }
    }
    return hasProgress
  }

  private func updateInterest() {
    guard failure == nil else { return }
    var interest: Interest = isExpecting ? .read : []
    if half != nil { interest.insert(.write) }
    watch?.setInterest(interest)
  }
}
