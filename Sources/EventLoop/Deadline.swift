import Synchronization

/// The time for a piece of work is over; whether it took effect is unknown.
public struct DeadlineExceeded: Error, Hashable, Sendable, CustomStringConvertible {
  /// An error that says only that.
  public init() {}
  /// A few words.
  public var description: String { "no answer within the deadline" }
}

/// The result of `body`, or `DeadlineExceeded` at the deadline, even when `body` doesn't heed its cancellation: it is
/// cancelled then and left to end by itself. The caller's own cancellation is passed on to `body`.
public func withDeadline<Value: Sendable>(
  _ deadline: ContinuousClock.Instant, on loop: EventLoop,
  _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  let race = Race<Value>()
  return try await withTaskCancellationHandler {
    try await withCheckedThrowingContinuation { continuation in
      race.begin(continuation, on: loop, deadline: deadline, body)
    }
  } onCancel: {
    race.cancel()
  }
}

/// The same, with the time from now.
public func withDeadline<Value: Sendable>(
  after limit: Duration, on loop: EventLoop, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withDeadline(EventLoop.now + limit, on: loop, body)
}

/// Who comes first, the body or the timer, resumes the continuation.
private final class Race<Value: Sendable>: Sendable {
  private struct State {
    var continuation: CheckedContinuation<Value, any Error>?
    var work: Task<Void, Never>?
    var isCancelled = false
  }

  private let state = Mutex(State())

  func begin(
    _ continuation: CheckedContinuation<Value, any Error>, on loop: EventLoop,
    deadline: ContinuousClock.Instant, _ body: @escaping @Sendable () async throws -> Value
  ) {
    state.withLock { $0.continuation = continuation }
    let timer = TimerBox()
    let work = Task {
      do {
        finish(.success(try await body()))
      } catch {
        finish(.failure(error))
      }
      loop.submit { timer.timer?.cancel() }
    }
    let isCancelled = state.withLock { state in
      state.work = work
      return state.isCancelled
    }
    if isCancelled { work.cancel() }
    loop.submit {
      guard self.state.withLock({ $0.continuation != nil }) else { return }
      timer.timer = loop.at(deadline) {
        self.finish(.failure(DeadlineExceeded()))
        work.cancel()
      }
    }
  }

  func cancel() {
    let work = state.withLock { state in
      state.isCancelled = true
      return state.work
    }
    work?.cancel()
  }

  private func finish(_ result: Result<Value, any Error>) {
    let continuation = state.withLock { state in
      defer { state.continuation = nil }
      return state.continuation
    }
    continuation?.resume(with: result)
  }
}

/// `@unchecked Sendable`: touched on the loop only.
private final class TimerBox: @unchecked Sendable {
  var timer: LoopTimer?
}
