/// Where a line of a run's log comes from.
public enum RunLogSource: String, Hashable, Sendable, Codable, CaseIterable {
  /// What the rollout decided and what came of it, as in the journal.
  case rollout
  /// What a step is doing on a host.
  case step
  /// What probes have shown, and what is waited for.
  case gate
  /// What a playbook does, be it run by itself, to prepare a host, or as a wave's hook.
  case playbook
  /// What went over SSH.
  case ssh
  /// What went through the agent's RPC.
  case rpc
  /// What a unit on the host has logged.
  case unit
}

/// A line of a run's log.
public struct RunLogLine: Hashable, Sendable, Codable {
  /// When it was written: milliseconds since 1970, by the controller's clock.
  public var wall: Int64
  /// The host it is about; nil where it is about the run.
  public var host: String?
  /// Where it comes from.
  public var source: RunLogSource
  /// What it says; not yet escaped for a terminal.
  public var text: String

  /// A line from its parts.
  public init(wall: Int64, host: String?, source: RunLogSource, text: String) {
    self.wall = wall
    self.host = host
    self.source = source
    self.text = text
  }
}

/// The log of one run, for people: what can't be written is told once and lost, and nothing is ever decided by it.
public protocol RunLog: Sendable {
  /// Takes a line; never waits for the disk.
  func write(_ line: RunLogLine)
}
