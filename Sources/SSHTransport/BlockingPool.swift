import Glibc
import Synchronization

/// Threads for calls that block (name lookup, files, asking `ssh -G`), so that neither the loop nor Swift's own few
/// threads ever wait. Threads are started when needed, up to a limit, and stay.
package final class BlockingPool: Sendable {
  private struct State {
    var queue: [@Sendable () -> Void] = []
    var threads = 0
    var idle = 0
    var isEnded = false
  }

  private let limit: Int
  private let state = Mutex(State())
  private let signal = Semaphore()

  package init(threads limit: Int) { self.limit = limit }

  /// The threads end once what is queued is done.
  package func end() {
    let count = state.withLock { state in
      state.isEnded = true
      return state.threads
    }
    for _ in 0..<count { signal.post() }
  }

  /// Runs `body` on one of the threads.
  package func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      add { continuation.resume(with: Result(catching: body)) }
    }
  }

  private func add(_ body: @escaping @Sendable () -> Void) {
    let needsThread = state.withLock { state in
      state.queue.append(body)
      guard state.idle < state.queue.count, state.threads < limit else { return false }
      state.threads += 1
      return true
    }
    if needsThread, !startThread() {
      // Without a thread at all the work would never be done: do it here.
      let isStuck = state.withLock { state in
        state.threads -= 1
        return state.threads == 0
      }
      if isStuck { _ = runNext() }
    }
    signal.post()
  }

  private func startThread() -> Bool {
    var created = pthread_t()
    let context = Unmanaged.passRetained(self)
    let code = pthread_create(
      &created, nil,
      { context in
        guard let context else { return nil }
        let pool = Unmanaged<BlockingPool>.fromOpaque(context).takeRetainedValue()
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        while pool.wait() { _ = pool.runNext() }
        return nil
      }, context.toOpaque())
    if code == 0 { pthread_detach(created) } else { context.release() }
    return code == 0
  }

  /// False when the thread is to end.
  private func wait() -> Bool {
    state.withLock { $0.idle += 1 }
    signal.wait()
    return state.withLock { state in
      state.idle -= 1
      guard state.isEnded, state.queue.isEmpty else { return true }
      state.threads -= 1
      return false
    }
  }

  private func runNext() -> Bool {
    let body = state.withLock { $0.queue.isEmpty ? nil : $0.queue.removeFirst() }
    body?()
    return body != nil
  }
}

/// A counting semaphore of the system. `@unchecked Sendable`: the pointer never changes and sem_t is made for threads.
private final class Semaphore: @unchecked Sendable {
  private let semaphore: UnsafeMutablePointer<sem_t>

  init() {
    semaphore = .allocate(capacity: 1)
    sem_init(semaphore, 0, 0)
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func post() { sem_post(semaphore) }

  func wait() {
    while sem_wait(semaphore) != 0, errno == EINTR {}
  }
}
