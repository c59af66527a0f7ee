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

  /// What is known then: whoever began, or ended otherwise than by refusing, may have done what it was asked for. `unknown` is what an
  /// older program can't do.
  func error(at place: String, what: String, unknown: String) -> DoorError {
    let said = "the agent's program ended: \(escapedForTerminal(words.text))"
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
