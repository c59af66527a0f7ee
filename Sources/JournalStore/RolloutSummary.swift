import RolloutModel

/// A rollout in a list.
public struct RolloutSummary: Hashable, Sendable, Codable {
  /// The rollout's ID.
  public var id: String
  /// The agent's name.
  public var agent: String
  /// The new version.
  public var version: String
  /// The policy's name.
  public var policy: String
  /// When it was created, in milliseconds since 1970.
  public var createdAt: Int64
  /// The number of its last record.
  public var lastSequence: Int64
  /// How it stood when that was last noted; nil where it never was. The records say how it really stands.
  public var state: RolloutState?

  /// A summary from its parts.
  public init(
    id: String, agent: String, version: String, policy: String, createdAt: Int64, lastSequence: Int64,
    state: RolloutState?
  ) {
    self.id = id
    self.agent = agent
    self.version = version
    self.policy = policy
    self.createdAt = createdAt
    self.lastSequence = lastSequence
    self.state = state
  }
}

/// Which rollouts are meant.
public enum RolloutSelection: Hashable, Sendable {
  /// Every one.
  case all
  /// The one that was created last.
  case newest
  /// The one with this ID.
  case named(String)
}
