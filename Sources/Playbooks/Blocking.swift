import Dispatch

/// Calls that block, on threads that nobody else waits for.
enum Blocking {
  private static let queue = DispatchQueue(label: "switchyard.playbooks", attributes: .concurrent)

  static func run<Value: Sendable, Failure: Error>(
    _ body: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
      queue.async {
        do throws(Failure) {
          continuation.resume(returning: .success(try body()))
        } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
    return try result.get()
  }
}

/// The time for something is over.
struct Late: Error {}

/// The result of `body`, or ``Late``. `body` must end when it is cancelled.
func within<Value: Sendable>(
  _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withThrowingTaskGroup(of: Value.self) { group in
    defer { group.cancelAll() }
    group.addTask { try await body() }
    group.addTask {
      try await Task.sleep(for: limit)
      throw Late()
    }
    guard let first = try await group.next() else { throw Late() }
    return first
  }
}
