import EventLoop
import Glibc

/// What all links of a door share.
struct LinkSurroundings: Sendable {
  var loop: EventLoop
  /// For looking up names alone: that can take long, and must not hold up the reading of files.
  var names: BlockingPool
  var dialer: Dialer
  var handshakes: Limiter
  var credentials: CredentialSource
  var options: SSHOptions
}

/// The connections to one sshd: one as a rule. A tunnel that is slow to open holds up all later ones of its connection,
/// since libssh2 opens one channel at a time; then another connection is made beside it.
actor HostLink {
  nonisolated let target: SSHTarget
  /// The link of the last jump host on the way.
  nonisolated let jump: HostLink?
  /// For those who are reached through this host.
  nonisolated let handshakesThrough: Limiter
  nonisolated let surroundings: LinkSurroundings
  private nonisolated var loop: EventLoop { surroundings.loop }
  nonisolated var unownedExecutor: UnownedSerialExecutor { surroundings.loop.asUnownedSerialExecutor() }

  private var lanes: [SSHConnection] = []
  private var opening: Task<Result<SSHConnection, SSHError>, Never>?
  private var waiting: [CheckedContinuation<Void, Never>] = []
  private var idleTimer: LoopTimer?
  private var idleLanes: Set<ObjectIdentifier> = []
  /// Lanes that were handed out since the last look for idle ones: whoever got one may not have begun with it yet.
  private var handedOut: Set<ObjectIdentifier> = []
  private var isClosed = false
  /// Connections that are about to be used for an open, or are at it, and since when.
  private var claims: [ObjectIdentifier: ContinuousClock.Instant] = [:]

  /// Connections side by side.
  private static let mostLanes = 4
  /// An open that takes longer than this is taken to be stuck.
  private static let stuckAfter: Duration = .milliseconds(750)

  init(target: SSHTarget, jump: HostLink?, surroundings: LinkSurroundings) {
    self.target = target
    self.jump = jump
    self.surroundings = surroundings
    handshakesThrough = Limiter(surroundings.options.handshakesThroughJump, loop: surroundings.loop)
  }

  /// A connection that is alive; opened where there is none.
  func connection() async throws(SSHError) -> SSHConnection {
    await dropDead()
    let lane = if let first = lanes.first { first } else { try await newLane() }
    handedOut.insert(ObjectIdentifier(lane))
    return lane
  }

  /// A connection on which no open is under way that could hold up the next one.
  func freeConnection() async throws(SSHError) -> SSHConnection {
    let lane = try await claimedLane()
    handedOut.insert(ObjectIdentifier(lane))
    release(lane)
    return lane
  }

  /// Closes all connections, and what goes over them, for good.
  func close() async {
    isClosed = true
    idleTimer?.cancel()
    idleTimer = nil
    let closing = lanes
    lanes = []
    for lane in closing { await lane.close() }
    wakeAll()
  }

  /// Closes the connections over which nothing goes.
  func closeUnused() async {
    for lane in lanes where await !lane.isUsed {
      lanes.removeAll { $0 === lane }
      await lane.close()
    }
  }

  /// Opens a way to `host:port` as seen from the host, and carries it over `descriptor`, which is taken over in any case.
  func forward(descriptor: Int32, host: String, port: Int) async throws(SSHError) {
    let lane: SSHConnection
    do throws(SSHError) {
      lane = try await claimedLane()
    } catch {
      Glibc.close(descriptor)
      throw error
    }
    defer { release(lane) }
    do {
      // What opens too late finds its descriptor's other end closed, and ends.
      try await withDeadline(after: surroundings.options.stepWithin, on: loop) {
        try await lane.forward(descriptor: descriptor, host: host, port: port)
      }
    } catch let error as SSHError {
      throw error
    } catch {
      throw target.error(.deadline(.opening))
    }
  }

  // MARK: Lanes

  /// A connection for one open, for whoever asked first.
  private func claimedLane() async throws(SSHError) -> SSHConnection {
    let deadline = EventLoop.now + surroundings.options.stepWithin
    while true {
      await dropDead()
      var isAnyMoving = false
      for lane in lanes {
        let opening = await lane.openingSince
        guard let since = claims[ObjectIdentifier(lane)] ?? opening else {
          claims[ObjectIdentifier(lane)] = EventLoop.now
          return lane
        }
        if EventLoop.now - since < Self.stuckAfter { isAnyMoving = true }
      }
      if !isAnyMoving, lanes.count < Self.mostLanes {
        // Others may have waited for it, too: it is to be claimed like any.
        _ = try await newLane()
        continue
      }
      guard EventLoop.now < deadline else { throw target.error(.deadline(.opening)) }
      loop.after(Self.stuckAfter) { [weak self] in self?.assumeIsolated { $0.wakeAll() } }
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  private func release(_ lane: SSHConnection) {
    claims[ObjectIdentifier(lane)] = nil
    if !waiting.isEmpty { waiting.removeFirst().resume() }
  }

  private func wakeAll() {
    let woken = waiting
    waiting = []
    for waiter in woken { waiter.resume() }
  }

  private func dropDead() async {
    for lane in lanes where await !lane.isAlive {
      await lane.close()
      lanes.removeAll { $0 === lane }
    }
  }

  /// Opens a connection; those who ask at the same time get the same one.
  private func newLane() async throws(SSHError) -> SSHConnection {
    if let opening { return try await opening.value.get() }
    let task = Task { () -> Result<SSHConnection, SSHError> in
      do throws(SSHError) { return .success(try await open()) } catch { return .failure(error) }
    }
    opening = task
    let result = await task.value
    opening = nil
    let lane = try result.get()
    guard !isClosed else {
      await lane.close()
      throw target.error(.closed)
    }
    lanes.append(lane)
    if idleTimer == nil { watchIdleness() }
    return lane
  }

  private func open() async throws(SSHError) -> SSHConnection {
    guard !isClosed else { throw target.error(.closed) }
    let credentials = try await surroundings.credentials.credentials(for: target)
    let descriptor = try await connectedDescriptor()
    let connection: SSHConnection
    do throws(LocalFileError) {
      let options = surroundings.options
      let patience = SSHConnection.Patience(step: options.stepWithin, keepalive: options.keepalive)
      connection = try SSHConnection(descriptor: descriptor, target: target, loop: loop, patience: patience)
    } catch {
      throw target.error(.local("\(error)"))
    }
    do throws(SSHError) {
      if let jump {
        try await jump.handshakesThrough.run { () async throws(SSHError) in
          try await self.surroundings.handshakes.run { () async throws(SSHError) in
            try await connection.establish(credentials)
          }
        }
      } else {
        try await surroundings.handshakes.run { () async throws(SSHError) in
          try await connection.establish(credentials)
        }
      }
    } catch {
      await connection.close()
      throw error
    }
    return connection
  }

  private func connectedDescriptor() async throws(SSHError) -> Int32 {
    if let jump {
      var ends: [Int32] = [-1, -1]
      let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
      guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
        throw target.error(.local("socketpair: " + String(cString: strerror(errno))))
      }
      do throws(SSHError) {
        try await jump.forward(descriptor: ends[1], host: target.address, port: target.port)
      } catch {
        Glibc.close(ends[0])
        guard case .refused(let why) = error.reason else { throw error }
        throw target.error(.connect("\(jump.target.address) says: \(why)"))
      }
      return ends[0]
    }
    let (address, port, family) = (target.address, target.port, target.family)
    let addresses: [SocketAddress]
    do {
      addresses = try await withDeadline(after: surroundings.options.stepWithin, on: loop) { [surroundings] in
        try await surroundings.names.run { try lookUp(host: address, port: port, family: family) }
      }
    } catch {
      throw target.error(error is DeadlineExceeded ? .deadline(.resolving) : .resolve("\(error)"))
    }
    do throws(SSHError.Reason) {
      let limit = target.connectTimeout ?? surroundings.options.connectWithin
      return try await surroundings.dialer.connect(addresses, until: EventLoop.now + limit)
    } catch {
      throw target.error(error)
    }
  }

  // MARK: Idleness

  private func watchIdleness() {
    idleTimer = loop.after(surroundings.options.idleWithin / 2) { [weak self] in
      guard let self else { return }
      Task { await self.closeIdle() }
    }
  }

  /// Closes the connections that were unused now and the last time.
  private func closeIdle() async {
    idleTimer = nil
    var idle: Set<ObjectIdentifier> = []
    for lane in lanes where await !lane.isUsed {
      let name = ObjectIdentifier(lane)
      // Looked at after the wait, in which it may have been handed out.
      guard !handedOut.contains(name), claims[name] == nil else { continue }
      if idleLanes.contains(name) {
        lanes.removeAll { $0 === lane }
        await lane.close()
      } else {
        idle.insert(name)
      }
    }
    idleLanes = idle
    handedOut = []
    if !lanes.isEmpty { watchIdleness() }
  }
}
