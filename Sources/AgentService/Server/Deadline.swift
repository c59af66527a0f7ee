/// Time is up.
struct DeadlinePassed: Error {}

/// What `body` returns, or ``DeadlinePassed`` where it takes longer: it is cancelled then, and waited for.
func within<Value: Sendable>(
  _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withThrowingTaskGroup(of: Value.self) { group in
    defer { group.cancelAll() }
    group.addTask { try await body() }
    group.addTask {
      try await Task.sleep(for: limit)
      throw DeadlinePassed()
    }
    guard let first = try await group.next() else { throw DeadlinePassed() }
    return first
  }
}
