import EventLoop
import Glibc
import Synchronization
import Testing

/// An actor that lives on a loop, as the adapters' connections do.
private actor Resident {
  let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
  var log: [String] = []

  init(_ loop: EventLoop) { self.loop = loop }

  func isOnLoop() -> Bool { loop.isCurrent }

  func add(_ line: String) { log.append(line) }

  /// Runs `body` isolated to the actor, and gives back what it got by `done`.
  func run<Value: Sendable>(
    _ body: @Sendable (isolated Resident, CheckedContinuation<Value, any Error>) throws -> Void
  ) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      do { try body(self, continuation) } catch { continuation.resume(throwing: error) }
    }
  }
}

private func withLoop<Value: Sendable>(_ body: (EventLoop) async throws -> Value) async throws -> Value {
  let loop = try EventLoop(name: "test")
  defer { loop.stop() }
  return try await body(loop)
}

private func pipePair() throws -> (read: Int32, write: Int32) {
  var ends: [Int32] = [0, 0]
  try #require(pipe(&ends) == 0)
  return (ends[0], ends[1])
}

@Suite(.timeLimit(.minutes(1)))
struct EventLoopTests {
  @Test func anActorRunsOnTheLoopsThreadAndHandlersMayAssumeIt() async throws {
    try await withLoop { loop in
      let resident = Resident(loop)
      #expect(await resident.isOnLoop())
      #expect(!loop.isCurrent)
      let inTimer: Bool = try await resident.run { resident, continuation in
        resident.loop.after(.zero) {
          resident.assumeIsolated { $0.log.append("timer") }
          continuation.resume(returning: true)
        }
      }
      #expect(inTimer)
      #expect(await resident.log == ["timer"])
    }
  }

  @Test func timersFireInTheOrderOfTheirDeadlinesAndCancelledOnesNever() async throws {
    try await withLoop { loop in
      let resident = Resident(loop)
      let order: [Int] = try await resident.run { resident, continuation in
        var fired: [Int] = []
        let start = EventLoop.now
        var doomed: [LoopTimer] = []
        for number in 0..<500 {
          // 7 and 500 have no common divisor: a shuffled order of making.
          let place = number * 7 % 500
          resident.loop.at(start + .microseconds(place * 20)) { fired.append(place) }
          doomed.append(resident.loop.at(start + .microseconds(place * 20)) { fired.append(-1) })
        }
        for timer in doomed { timer.cancel() }
        resident.loop.at(start + .microseconds(500 * 20)) { continuation.resume(returning: fired) }
      }
      #expect(order == Array(0..<500))
    }
  }

  @Test func aWatchTellsReadinessAndFollowsItsInterest() async throws {
    try await withLoop { loop in
      let resident = Resident(loop)
      let (read, write) = try pipePair()
      let seen: [Readiness] = try await resident.run { resident, continuation in
        var seen: [Readiness] = []
        var watches: [Watch] = []
        watches.append(
          try resident.loop.watch(write, .write) { ready in
            seen.append(ready)
            watches[0].setInterest([])
            _ = Glibc.write(write, "x", 1)
          })
        watches.append(
          try resident.loop.watch(read, .read) { ready in
            seen.append(ready)
            for watch in watches { watch.cancel() }
            resident.loop.after(.milliseconds(5)) { continuation.resume(returning: seen) }
          })
      }
      #expect(seen == [.write, .read])
      close(read)
      close(write)
    }
  }

  @Test func theEndOfThePeerIsTold() async throws {
    try await withLoop { loop in
      let resident = Resident(loop)
      let (read, write) = try pipePair()
      let ready: Readiness = try await resident.run { resident, continuation in
        var watch: Watch?
        watch = try resident.loop.watch(read, .read) { ready in
          watch?.cancel()
          continuation.resume(returning: ready)
        }
        close(write)
      }
      #expect(ready.contains(.hangup))
      close(read)
    }
  }

  @Test func anEventForACancelledWatchNeverReachesItsSuccessorOnTheSameDescriptor() async throws {
    try await withLoop { loop in
      let resident = Resident(loop)
      let wrong: Int = try await resident.run { resident, continuation in
        // Both pipes are readable at once, so both events are in one batch; the handler that comes first replaces
        // the other pipe by a new one on the same descriptor number, which is not readable.
        var pipes = [try pipePair(), try pipePair()]
        var watches: [Watch] = []
        var wrong = 0
        var isSwapped = false
        for index in 0..<2 {
          watches.append(
            try resident.loop.watch(pipes[index].read, .read) { _ in
              guard !isSwapped else { return }
              isSwapped = true
              watches[index].cancel()
              let other = 1 - index
              watches[other].cancel()
              do {
                let fresh = try pipePair()
                dup2(fresh.read, pipes[other].read)
                watches[other] = try resident.loop.watch(pipes[other].read, .read) { _ in wrong += 1 }
                pipes.append(fresh)
              } catch {
                continuation.resume(throwing: error)
              }
            })
        }
        for pipe in pipes { _ = Glibc.write(pipe.write, "x", 1) }
        resident.loop.after(.milliseconds(20)) {
          for watch in watches { watch.cancel() }
          for pipe in pipes {
            close(pipe.read)
            close(pipe.write)
          }
          continuation.resume(returning: wrong)
        }
      }
      #expect(wrong == 0)
    }
  }

  @Test func aRegularFileIsRefusedWithTheReason() async throws {
    try await withLoop { loop in
      let resident = Resident(loop)
      let file = open("/etc/passwd", O_RDONLY | O_CLOEXEC)
      defer { close(file) }
      await #expect(throws: EventLoopError(call: "epoll_ctl", code: EPERM)) {
        let _: Int = try await resident.run { resident, _ in
          _ = try resident.loop.watch(file, .read) { _ in }
        }
      }
    }
  }

  @Test func submittedBodiesRunInOrderAlsoAfterAStop() async throws {
    let loop = try EventLoop(name: "test")
    let resident = Resident(loop)
    await resident.add("before")
    loop.stop()
    for number in 0..<100 { await resident.add("\(number)") }
    #expect(await resident.log == ["before"] + (0..<100).map { "\($0)" })
  }

  @Test func manyTasksFromManyThreadsAllRun() async throws {
    try await withLoop { loop in
      let resident = Resident(loop)
      await withTaskGroup { group in
        for _ in 0..<64 {
          group.addTask { for _ in 0..<200 { await resident.add("") } }
        }
      }
      #expect(await resident.log.count == 64 * 200)
    }
  }
}

@Suite(.timeLimit(.minutes(1)))
struct DeadlineTests {
  @Test func workThatIsInTimeGivesItsValueOrItsError() async throws {
    struct Own: Error {}
    try await withLoop { loop in
      let value = try await withDeadline(after: .seconds(30), on: loop) { 7 }
      #expect(value == 7)
      await #expect(throws: Own.self) {
        try await withDeadline(after: .seconds(30), on: loop) { throw Own() }
      }
    }
  }

  @Test func theDeadlineComesEvenWhenTheWorkNeverEnds() async throws {
    try await withLoop { loop in
      let held = Mutex<CheckedContinuation<Void, Never>?>(nil)
      await #expect(throws: DeadlineExceeded.self) {
        try await withDeadline(after: .milliseconds(10), on: loop) {
          await withCheckedContinuation { continuation in held.withLock { $0 = continuation } }
        }
      }
      held.withLock { $0 }?.resume()
    }
  }

  @Test func workIsCancelledAtTheDeadlineAndWithItsCaller() async throws {
    try await withLoop { loop in
      let ended = AsyncStream<Void>.makeStream()
      await #expect(throws: DeadlineExceeded.self) {
        try await withDeadline(after: .milliseconds(10), on: loop) {
          // Only a cancelled sleep of an hour ends within this test.
          do { try await Task.sleep(for: .seconds(3600)) } catch { ended.continuation.yield() }
        }
      }
      var iterator = ended.stream.makeAsyncIterator()
      await iterator.next()

      let caller = Task {
        try await withDeadline(after: .seconds(3600), on: loop) { try await Task.sleep(for: .seconds(3600)) }
      }
      caller.cancel()
      await #expect(throws: CancellationError.self) { try await caller.value }
    }
  }
}
