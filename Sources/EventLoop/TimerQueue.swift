/// A body that the loop runs at an instant. Made by the loop, and used on the loop only.
public final class LoopTimer {
  let deadline: ContinuousClock.Instant
  /// Nil once the timer has fired or was cancelled; what it captured is released then.
  private var body: (() -> Void)?
  private let onCancel: () -> Void

  init(deadline: ContinuousClock.Instant, body: @escaping () -> Void, onCancel: @escaping () -> Void) {
    self.deadline = deadline
    self.body = body
    self.onCancel = onCancel
  }

  /// True until the body has run or the timer was cancelled.
  public var isPending: Bool { body != nil }

  /// The body will not run any more. On the loop only; harmless after the timer has fired.
  public func cancel() {
    guard body != nil else { return }
    body = nil
    onCancel()
  }

  func fire() {
    let due = body
    body = nil
    due?()
  }
}

/// Timers by deadline, equal ones in the order of their making: a binary heap. Cancelled ones stay until they come
/// up, or until they are the majority, so that a cancel costs nothing and memory stays bounded.
struct TimerQueue {
  private struct Entry {
    var timer: LoopTimer
    var sequence: UInt64

    func isBefore(_ other: Entry) -> Bool {
      timer.deadline == other.timer.deadline
        ? sequence < other.sequence : timer.deadline < other.timer.deadline
    }
  }

  private var heap: [Entry] = []
  private var nextSequence: UInt64 = 0
  private var cancelled = 0

  var count: Int { heap.count }

  mutating func insert(_ timer: LoopTimer) {
    heap.append(Entry(timer: timer, sequence: nextSequence))
    nextSequence += 1
    siftUp(from: heap.count - 1)
  }

  /// To be told of each cancel.
  mutating func noteCancel() {
    cancelled += 1
    guard cancelled > 64, cancelled > heap.count / 2 else { return }
    heap.removeAll { !$0.timer.isPending }
    cancelled = 0
    for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(from: index) }
  }

  /// The earliest deadline of a pending timer.
  mutating func earliest() -> ContinuousClock.Instant? {
    while let first = heap.first {
      if first.timer.isPending { return first.timer.deadline }
      removeFirst()
      cancelled = max(0, cancelled - 1)
    }
    return nil
  }

  /// Takes out the next timer that is due at `now`.
  mutating func popDue(at now: ContinuousClock.Instant) -> LoopTimer? {
    guard let deadline = earliest(), deadline <= now else { return nil }
    return removeFirst()
  }

  @discardableResult
  private mutating func removeFirst() -> LoopTimer {
    heap.swapAt(0, heap.count - 1)
    let entry = heap.removeLast()
    siftDown(from: 0)
    return entry.timer
  }

  private mutating func siftUp(from start: Int) {
    var child = start
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].isBefore(heap[parent]) else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func siftDown(from start: Int) {
    var parent = start
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
        if heap[child].isBefore(heap[least]) { least = child }
      }
      guard least != parent else { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
