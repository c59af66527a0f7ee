/// What a playbook of a rollout does. The journal keeps it for people; nothing is ever decided by it.
public struct PlaybookNews: Hashable, Sendable, Codable {
  /// Why a rollout runs a playbook.
  public enum Occasion: Hashable, Sendable, Codable {
    /// It prepares a host for the agent.
    case prepare
    /// It is run around a wave.
    case hook(HookRun)
  }

  /// Why it is run.
  public var occasion: Occasion
  /// The host it is about, by its place in the plan; nil where it is about none of the rollout's.
  public var host: Int?
  /// What has happened.
  public var event: PlaybookEvent

  /// News from its parts.
  public init(_ occasion: Occasion, host: Int?, _ event: PlaybookEvent) {
    self.occasion = occasion
    self.host = host
    self.event = event
  }
}

extension PlaybookEvent {
  /// The host it is about; nil where it is about the run, or about no single host.
  public var host: String? {
    switch self {
    case .door(let host, _): host
    case .play: nil
    case .task(_, let host): host
    case .result(let result): result.host
    case .ended(let report): report.host
    }
  }

  /// What it says to people besides the host's name: tasks that begin, what they changed or where they failed, and each host's
  /// end. Nil for tasks that changed nothing, so that what is told of hundreds of hosts stays short, and for what only
  /// somebody wants to know who runs a playbook by itself.
  public var words: String? {
    switch self {
    case .task(let task, _): "runs \(task.name)"
    case .result(let result):
      switch result.outcome {
      case .ok, .skipped: nil
      case .changed, .failed, .unreachable, .ignored:
        "\(result.outcome.rawValue): \(result.task.name)"
          + (result.message.isEmpty ? "" : ": \(result.message)")
      }
    case .ended(let report):
      "ended as \(report.outcome.rawValue)\(report.isGood ? "" : ": \(report.why)")"
    case .door, .play: nil
    }
  }
}

extension PlaybookHostReport {
  /// Where and why it was not good; empty where it was.
  public var why: String { [failedTask, reason].filter { !$0.isEmpty }.joined(separator: ": ") }
}
