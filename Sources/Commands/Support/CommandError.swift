import Controller
import MarkedYAML
import Ports
import RolloutModel

/// Why a verb failed, with the exit code that says so.
struct CommandError: Error, CustomStringConvertible {
  static let toolError: Int32 = 1
  static let invalidInput: Int32 = 2
  static let rolledBack: Int32 = 3
  static let rollbackIncomplete: Int32 = 4
  static let endsSoon: Int32 = 7
  static let exceptions: Int32 = 7
  static let aborted: Int32 = 8
  static let hostsWouldFail: Int32 = 9
  static let timedOut: Int32 = 124

  let code: Int32
  let description: String

  /// Input that is not valid: nothing was changed.
  static func invalid(_ message: String) -> CommandError {
    CommandError(code: invalidInput, description: message)
  }

  /// The tool itself failed.
  static func tool(_ message: String) -> CommandError { CommandError(code: toolError, description: message) }
}
