import RolloutModel
import Subprocess

/// How a command ended, as the last line of its output says it.
enum CommandEnd: Sendable {
  case status(TerminationStatus)
  case timeout
  case notRun(AgentError)
  /// It was killed because whoever was to read it had gone, or the agent ended.
  case brokenOff

  /// What a last line has one of.
  static let keys = ["exit", "signal", "timeout", "error", "broken_off"]

  /// The line.
  var line: JSON {
    switch self {
    case .status(.exited(let code)): ["exit": .number(Int64(code))]
    case .status(.signaled(let signal)): ["signal": .text(SignalName.of(signal))]
    case .timeout: ["timeout": true]
    case .notRun(let error): error.body
    case .brokenOff: ["broken_off": true]
    }
  }
}
