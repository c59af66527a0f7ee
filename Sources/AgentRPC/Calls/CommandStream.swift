import Ports
import RolloutModel

/// Reads a command's lines from a stream to its end, whichever the door.
enum CommandStream {
  /// What a stream came to.
  enum Outcome: Hashable {
    /// The command's end was told.
    case end(AgentCommandEnd)
    /// It broke off after something was said: the command has been begun.
    case brokenOff
    /// It ended, and nothing was said.
    case silent
  }

  /// Follows it. `read` gives the next bytes, none at the end.
  static func follow(
    at place: String, read: () async throws(DoorError) -> [UInt8],
    tell: @Sendable (AgentCommandOutput) async -> Void
  ) async throws(DoorError) -> Outcome {
    var lines = CommandLines()
    var outcome = Outcome.silent
    while true {
      let bytes = try await read()
      if bytes.isEmpty { return outcome }
      if outcome == .silent { outcome = .brokenOff }
      for line in try whole(&lines, bytes, place) {
        switch line {
        case .output(let output): await tell(output)
        case .end(let how): outcome = .end(how)
        }
      }
    }
  }

  private static func whole(
    _ lines: inout CommandLines, _ bytes: [UInt8], _ place: String
  ) throws(DoorError) -> [CommandLines.Line] {
    do throws(CommandLines.Garbled) { return try lines.push(bytes) } catch {
      throw DoorError(.garbled, "\(place): what the agent says of the command can't be read: \(error.why)")
    }
  }
}
