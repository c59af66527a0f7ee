import CSSH2
import EventLoop
import Glibc

/// One authenticated SSH connection: programs and tunnels over it.
actor SSHConnection {
  /// How patient a connection is.
  struct Patience: Hashable, Sendable {
    /// The most for the key exchange, again for the authentication, and for starting a program.
    var step: Duration
    /// After so much silence the other side is asked for a sign of life; after three times as much, while something is
    /// awaited, the connection counts as lost.
    var keepalive: Duration
  }

  nonisolated let loop: EventLoop
  nonisolated let target: SSHTarget
  nonisolated let patience: Patience
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  let session: Session
  private var channels: [Int: Channel] = [:]
  private var bridges: [Int: Bridge] = [:]
  private var waiters: [Int: [CheckedContinuation<Void, Never>]] = [:]
  private var nextID = 0
  /// Programs that somebody waits for.
  private var starting: Set<Int> = []
  /// There are keys for a goodbye. Before its first call libssh2 doesn't even know the descriptor.
  private var isSecured = false
  private var lifeTimer: LoopTimer?
  private var quietSince = EventLoop.now
  /// Opens of channels under way: libssh2 does one at a time.
  private var pendingOpens = 0
  /// Since when an open is under way; nil while there is none.
  private(set) var openingSince: ContinuousClock.Instant?

  /// Takes over a connected descriptor, also when this fails.
  init(descriptor: Int32, target: SSHTarget, loop: EventLoop, patience: Patience) throws(LocalFileError) {
    self.loop = loop
    self.target = target
    self.patience = patience
    session = try Session(descriptor: descriptor, loop: loop)
  }

  isolated deinit { close() }

  /// Key exchange, the host's key, ours.
  func establish(_ credentials: Credentials) async throws(SSHError) {
    do throws(EventLoopError) { try session.start() } catch { throw target.error(.local("\(error)")) }
    try await within(patience.step, .handshake) { () async throws(SSHError) in
      try await shakeHands(credentials.knownHosts)
    }
    isSecured = true
    try await within(patience.step, .authenticating) { () async throws(SSHError) in
      try await authenticate(credentials)
    }
    quietSince = EventLoop.now
    watchOverLife()
  }

  /// False once nothing can be done with it any more.
  var isAlive: Bool { session.failure == nil && (session.isExpecting || !session.isClosedByPeer) }

  /// True while there are channels.
  var isUsed: Bool { !channels.isEmpty || pendingOpens > 0 }

  /// Says goodbye and ends everything on the connection.
  func close() {
    lifeTimer?.cancel()
    if isSecured, session.failure == nil { libssh2_session_disconnect_ex(session.handle, 11, "done", "") }
    session.fail(.closed)
    for bridge in bridges.values { bridge.end() }
  }

  // MARK: Calls

  /// What a call of libssh2 came to.
  struct Outcome: Sendable {
    var code: Int
    /// The words of libssh2 for it, taken at once: the next call may have others.
    var words: String
  }

  /// Makes a call of the session.
  func perform(_ run: @escaping () -> Int) async -> Outcome {
    await withCheckedContinuation { continuation in
      session.perform(
        Session.Call(run: run) { [session] code in
          continuation.resume(returning: Outcome(code: code, words: code == 0 ? "" : session.lastError))
        })
    }
  }

  /// Runs `body`; at the end of `limit` the session fails, which ends whatever `body` awaits.
  private func within(
    _ limit: Duration, _ phase: SSHError.Phase, _ body: () async throws(SSHError) -> Void
  ) async throws(SSHError) {
    let timer = loop.after(limit) { [session] in session.fail(.deadline(phase)) }
    defer { timer.cancel() }
    try await body()
  }

  /// The error for a result of libssh2; the session's own failure goes before.
  func error(_ outcome: Outcome, _ other: (String) -> SSHError.Reason) -> SSHError {
    target.error(session.failure ?? other(outcome.words))
  }

  /// Runs `body`; an error at the end of `limit`, while `body` goes on to an end of its own.
  func bounded<Value: Sendable>(
    _ limit: Duration, _ phase: SSHError.Phase, _ body: @escaping @Sendable () async throws -> Value
  ) async throws(SSHError) -> Value {
    do {
      return try await withDeadline(after: limit, on: loop, body)
    } catch let error as SSHError {
      throw error
    } catch {
      throw target.error(.deadline(phase))
    }
  }

  // MARK: Channels

  /// Starts a program; `command` is for the login shell, quoted. The number names its channel.
  func start(command: String) async throws(SSHError) -> Int {
    let id = newID()
    starting.insert(id)
    defer { starting.remove(id) }
    do throws(SSHError) {
      try await bounded(patience.step, .opening) { try await self.startProgram(command, as: id) }
    } catch {
      discard(id)
      throw error
    }
    return id
  }

  private func startProgram(_ command: String, as id: Int) async throws(SSHError) {
    let channel = try await open(isProgram: true) { handle in
      libssh2_channel_open_ex(handle, "session", 7, 2 << 20, 32768, nil, 0)
    } prepare: { channel in
      Int(libssh2_channel_process_startup(channel, "exec", 4, command, UInt32(command.utf8.count)))
    }
    register(channel, as: id)
    // Whoever wanted it has gone.
    if !starting.contains(id) { discard(id) }
  }

  /// Opens a way to `host:port` as seen from the other side, and carries it over `descriptor`, which is taken over in
  /// any case.
  func forward(descriptor: Int32, host: String, port: Int) async throws(SSHError) {
    let channel: Channel
    do throws(SSHError) {
      channel = try await open(isProgram: false) { handle in
        libssh2_channel_direct_tcpip_ex(handle, host, Int32(port), "127.0.0.1", 0)
      }
    } catch {
      Glibc.close(descriptor)
      throw error
    }
    let id = newID()
    register(channel, as: id)
    let bridge = Bridge(descriptor: descriptor, channel: channel) { [weak self] in
      self?.assumeIsolated { $0.forget(id) }
    }
    bridges[id] = bridge
    do throws(EventLoopError) {
      try bridge.start(on: loop)
    } catch {
      // One that never began has no end of its own.
      bridges[id] = nil
      discard(id)
      throw target.error(.local("\(error)"))
    }
  }

  private func open(
    isProgram: Bool, _ open: @escaping (OpaquePointer) -> OpaquePointer?,
    prepare: ((OpaquePointer) -> Int)? = nil
  ) async throws(SSHError) -> Channel {
    if pendingOpens == 0 { openingSince = EventLoop.now }
    pendingOpens += 1
    defer {
      pendingOpens -= 1
      openingSince = pendingOpens == 0 ? nil : EventLoop.now
    }
    var opened: OpaquePointer?
    let outcome = await perform { [session] in
      opened = open(session.handle)
      return opened == nil ? Int(libssh2_session_last_errno(session.handle)) : 0
    }
    guard outcome.code == 0, let handle = opened else { throw error(outcome) { .refused($0) } }
    if let prepare {
      let outcome = await perform { prepare(handle) }
      guard outcome.code == 0 else {
        let error = error(outcome) { .refused($0) }
        let channel = Channel(handle, of: session, isProgram: false)
        session.add(channel)
        channel.discard()
        throw error
      }
    }
    let channel = Channel(handle, of: session, isProgram: isProgram)
    session.add(channel)
    return channel
  }

  private func newID() -> Int {
    nextID += 1
    return nextID
  }

  private func register(_ channel: Channel, as id: Int) {
    channels[id] = channel
    channel.onNews = { [weak self] in self?.assumeIsolated { $0.wake(id) } }
  }

  private func wake(_ id: Int) {
    for waiter in waiters.removeValue(forKey: id) ?? [] { waiter.resume() }
  }

  private func news(of id: Int) async {
    await withCheckedContinuation { waiters[id, default: []].append($0) }
  }

  private func forget(_ id: Int) {
    channels[id] = nil
    bridges[id] = nil
    wake(id)
  }

  // MARK: Programs

  private func channel(_ id: Int) throws(SSHError) -> Channel {
    guard let channel = channels[id] else { throw target.error(session.failure ?? .closed) }
    return channel
  }

  /// The next bytes of a program's output; empty at its end.
  func read(_ id: Int) async throws(SSHError) -> [UInt8] {
    while true {
      let channel = try channel(id)
      if channel.hasInput { return channel.take() }
      if channel.hasEnded { return [] }
      if let failure = channel.failure { throw target.error(failure) }
      await news(of: id)
    }
  }

  /// Gives a program input; returns when there is room for more.
  func write(_ bytes: [UInt8], to id: Int) async throws(SSHError) {
    try channel(id).offer(bytes)
    while true {
      let channel = try channel(id)
      if let failure = channel.failure { throw target.error(failure) }
      if channel.hasRoom { return }
      await news(of: id)
    }
  }

  /// True while a program can be spoken to, as far as can be seen from here.
  func isServing(_ id: Int) -> Bool { isAlive && channels[id]?.hasEnded == false }

  /// Ends a program's input.
  func finish(_ id: Int) throws(SSHError) { try channel(id).finish() }

  /// How a program has ended, when it has; its output is to be read before.
  func exit(_ id: Int) async throws(SSHError) -> (exit: Channel.Exit, errors: [UInt8]) {
    while true {
      let channel = try channel(id)
      if let exit = channel.exit { return (exit, channel.errorTail) }
      if let failure = channel.failure { throw target.error(failure) }
      await news(of: id)
    }
  }

  /// Closes a channel, whatever is under way on it.
  func discard(_ id: Int) {
    if let bridge = bridges[id] { return bridge.end() }
    channels[id]?.discard()
    forget(id)
  }

  // MARK: Life

  private func watchOverLife() {
    lifeTimer = loop.after(patience.keepalive) { [weak self] in self?.assumeIsolated { $0.checkLife() } }
  }

  private func checkLife() {
    guard session.failure == nil else { return }
    quietSince = session.isExpecting ? max(quietSince, session.lastReceived) : EventLoop.now
    let silence = EventLoop.now - quietSince
    if silence >= patience.keepalive * 3 {
      return session.fail(.lost("nothing was heard of the host for \(silence.components.seconds) s"))
    }
    if silence >= patience.keepalive { session.sendKeepalive() }
    watchOverLife()
  }
}
