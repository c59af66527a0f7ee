import EventLoop

/// Lets a bounded number through at once, in the order of their coming.
actor Limiter {
  private nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
  private var free: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(_ limit: Int, loop: EventLoop) {
    free = max(1, limit)
    self.loop = loop
  }

  /// Runs `body` when there is a place. Whoever is inside has deadlines of its own, so the wait is bounded.
  func run(_ body: @Sendable () async throws(SSHError) -> Void) async throws(SSHError) {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiting.append($0) }
    }
    defer {
      if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
    try await body()
  }
}
