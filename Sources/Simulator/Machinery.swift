import RolloutModel

/// Runs tasks one job after the other, in the order they came, and lets virtual time go on to the next timer when no job
/// is left. So the real asynchronous steps run the same way for the same seed.
///
/// Everything of a simulation is used by the one thread that calls `run`; that is why what it holds needs no lock.
final class Machinery: TaskExecutor, @unchecked Sendable {
  private struct Timer {
    var at: Int64
    var sequence: Int
    var body: () -> Void
  }

  /// Virtual time, in milliseconds.
  private(set) var now: Int64 = 1_000_000
  private var jobs: [UnownedJob] = []
  private var next = 0
  private var timers: [Timer] = []
  private var sequence = 0
  private var sleepers: [Int: UnsafeContinuation<Bool, Never>] = [:]

  func enqueue(_ job: consuming ExecutorJob) { jobs.append(UnownedJob(job)) }

  /// Works until nothing is left to do, `until` has come, or `isOver` says so.
  func run(until end: Int64, isOver: () -> Bool) {
    while true {
      drain()
      guard !isOver(), let timer = timers.first, timer.at <= end else { return }
      removeFirstTimer()
      now = max(now, timer.at)
      timer.body()
    }
  }

  private func drain() {
    while next < jobs.count {
      let job = jobs[next]
      next += 1
      job.runSynchronously(on: asUnownedTaskExecutor())
    }
    jobs.removeAll(keepingCapacity: true)
    next = 0
  }

  /// Does something later.
  func after(_ milliseconds: Int64, _ body: @escaping () -> Void) {
    sequence += 1
    timers.append(Timer(at: now + max(0, milliseconds), sequence: sequence, body: body))
    var place = timers.count - 1
    while place > 0, isBefore(place, (place - 1) / 2) {
      timers.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  /// Waits; false where the task was cancelled meanwhile, unless `isFirm`.
  func wait(_ milliseconds: Int64, isFirm: Bool = false) async -> Bool {
    sequence += 1
    let id = sequence
    return await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        if Task.isCancelled, !isFirm {
          continuation.resume(returning: false)
        } else {
          sleepers[id] = continuation
          after(milliseconds) { self.wake(id, true) }
        }
      }
    } onCancel: {
      if !isFirm { self.wake(id, false) }
    }
  }

  private func wake(_ id: Int, _ isWhole: Bool) {
    sleepers.removeValue(forKey: id)?.resume(returning: isWhole)
  }

  // MARK: The timers, the next one first: a binary heap

  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    (timers[left].at, timers[left].sequence) < (timers[right].at, timers[right].sequence)
  }

  private func removeFirstTimer() {
    timers.swapAt(0, timers.count - 1)
    timers.removeLast()
    var place = 0
    while true {
      var least = place
      for child in [2 * place + 1, 2 * place + 2] where child < timers.count && isBefore(child, least) {
        least = child
      }
      guard least != place else { return }
      timers.swapAt(place, least)
      place = least
    }
  }
}
