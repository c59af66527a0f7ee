import Ports
import RolloutModel
import SSHTransport

/// The end of an agent's program, which ran over SSH, before it had said what came of what it was asked for.
struct ProgramEnd {
  let words: LastWords
  /// Whether it has said something of what it was asked for.
  let isBegun: Bool

  /// With which it refuses arguments that it does not understand, and a configuration: nothing was begun.
  private static let refused = 2

  /// Whether what was to start it has refused: there is no such program, or it may not be run as its user.
  private var isUnstarted: Bool {
    guard !isBegun, let status = words.status else { return false }
    return status == 126 || status == 127
      || status == 1 && ["sudo:", "runuser:"].contains(where: words.text.hasPrefix)
  }

  /// What is known then: whoever began, or ended otherwise than by refusing, may have done what it was asked for. `unknown` is what an
  /// older program can't do.
  func error(at place: String, what: String, unknown: String) -> DoorError {
    let said = "the agent's program ended: \(escapedForTerminal(words.text))"
    guard !isUnstarted else {
      return DoorError(
        .unusable, "\(place): the agent's program could not be started: \(escapedForTerminal(words.text))",
        hint:
          "see that an agent is installed there, and that this login may run its program as the agent's user")
    }
    guard !isBegun, words.status == Self.refused else {
      return DoorError(
        .lost, "\(place): \(said); what came of \(what) is not known",
        hint: "see in the host's journal what ended it")
    }
    return DoorError(
      .unusable, "\(place): \(said)",
      hint: "an agent older than this program knows no \(unknown) over SSH: if it is, upgrade it")
  }
}
