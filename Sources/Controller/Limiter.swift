/// Lets a bounded number of tasks through at a time; the others wait in order.
actor Limiter {
  private var free: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []
  private var head = 0

  init(_ places: Int) { free = places }

  /// Runs `body` once there is a place.
  func run<Value: Sendable>(_ body: @Sendable () async -> Value) async -> Value {
    await enter()
    let value = await body()
    leave()
    return value
  }

  private func enter() async {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  private func leave() {
    guard head < waiting.count else {
      free += 1
      return
    }
    let next = waiting[head]
    head += 1
    if head > 512, head * 2 > waiting.count {
      waiting.removeFirst(head)
      head = 0
    }
    next.resume()
  }
}
