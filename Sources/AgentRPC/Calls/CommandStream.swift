import Ports
import RolloutModel

/// Reads a command's lines from a stream to its end, whichever the door.
enum CommandStream {
  /// How the command ended; nil where the stream ended before that was said. `read` gives the next bytes, none at the end.
  static func follow(
    at place: String, read: () async throws(DoorError) -> [UInt8],
    tell: @Sendable (AgentCommandOutput) async -> Void
  ) async throws(DoorError) -> AgentCommandEnd? {
    var lines = CommandLines()
    var end: AgentCommandEnd?
    while true {
      let bytes = try await read()
      if bytes.isEmpty { return end }
      for line in try whole(&lines, bytes, place) {
        switch line {
        case .output(let output): await tell(output)
        case .end(let how): end = how
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
