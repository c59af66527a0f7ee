import Synchronization

/// Where the agent is between its start and its end.
final class Lifecycle: Sendable {
  enum Phase: String, Sendable { case starting, ready, draining }

  private let state = Mutex(Phase.starting)

  var phase: Phase { state.withLock { $0 } }

  /// It listens. An agent that is on its way to its end stays so.
  func listens() { state.withLock { if $0 == .starting { $0 = .ready } } }

  /// It takes no new work from now on.
  func drains() { state.withLock { $0 = .draining } }
}
