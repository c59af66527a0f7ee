/// A pure machine that turns events into effects.
public protocol Decider: Sendable {
  /// Takes in what happened and says what is to be done about it, in order.
  mutating func handle(_ stamped: StampedEvent) -> [RolloutEffect]
}

/// What the journal of a rollout is made of. The plan comes first; each event is followed by the intents it led to. News of
/// playbooks stand between those.
public enum JournalEntry: Hashable, Sendable, Codable {
  /// The rollout begins with this plan.
  indirect case plan(Plan)
  /// Something happened.
  case event(StampedEvent)
  /// This is about to be done.
  case intent(RolloutEffect)
  /// A playbook that the rollout runs did this.
  case playbook(PlaybookNews)
}

/// An entry as the journal holds it.
public struct JournalRecord: Hashable, Sendable, Codable {
  /// Its number in the rollout, from 1 without a gap.
  public var sequence: Int64
  /// When it was appended, in milliseconds since 1970.
  public var wall: Int64
  /// What it says.
  public var entry: JournalEntry

  /// A record from its parts.
  public init(sequence: Int64, wall: Int64, entry: JournalEntry) {
    self.sequence = sequence
    self.wall = wall
    self.entry = entry
  }
}
