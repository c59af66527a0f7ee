import Ports
import RolloutModel

/// A line of a run's log for people.
enum LogText {
  /// Time, host, where it comes from, what it says.
  static func line(_ line: RunLogLine) -> StyledText {
    var text = StyledText(Words.clock(line.wall) + " ", .faint)
    if let host = line.host { text.add(host + " ", .strong) }
    text.add(line.source.rawValue + " ", style(of: line.source))
    text.add(line.text)
    return text
  }

  private static func style(of source: RunLogSource) -> Style {
    switch source {
    case .rollout: .active
    case .gate: .good
    case .unit: .warning
    case .step, .playbook, .ssh, .rpc: .faint
    }
  }
}
