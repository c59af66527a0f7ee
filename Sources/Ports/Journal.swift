import RolloutModel

/// The event log of rollouts.
public protocol Journal: Sendable {
  /// Appends entries to a rollout's log in one commit; returns once they are durable.
  func append(_ entries: [JournalEntry], to rollout: String, wall: Int64) async throws(JournalError)
}

/// Why the journal can't be used.
public struct JournalError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What failed, where and why.
  public var message: String
  /// What to do.
  public var hint: String

  /// An error from its parts.
  public init(_ message: String, hint: String) {
    self.message = message
    self.hint = hint
  }

  /// Message and hint in one line.
  public var description: String { "\(message); \(hint)" }
}
