import HTTPTypes

/// What anybody may ask.
struct HealthRoutes: Sendable {
  let version: String
  let lifecycle: Lifecycle
  let limits: Limits
  /// The number of the revocation list in force; nil where none is kept.
  let list: @Sendable () -> Int64?

  var routes: [Route] {
    [
      Route(.get, "/healthz", limit: limits.answer, .init("Whether the agent runs", tag: "health")) { _ in
        Answer(["status": "ok"])
      },
      Route(
        .get, "/readyz", limit: limits.answer,
        .init("Whether the agent takes work", tag: "health", failures: [503])
      ) { _ in try ready() },
      Route(.get, "/version", limit: limits.answer, .init("Which agent this is", tag: "health")) { _ in
        Answer([
          "agent": "switchyard-agent", "version": .text(version),
          "revocation_list": list().map { .number($0) } ?? .null,
        ])
      },
    ]
  }

  private func ready() throws(AgentError) -> Answer {
    switch lifecycle.phase {
    case .ready: return Answer(["status": "ready"])
    case .starting, .draining:
      throw AgentError(
        .serviceUnavailable, lifecycle.phase.rawValue,
        "the agent takes no work now: it is \(lifecycle.phase)",
        hint: "wait, or ask the agent in the other slot")
    }
  }
}
