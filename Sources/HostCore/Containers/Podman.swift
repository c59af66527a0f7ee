import RolloutModel

/// Podman on this host. It runs in a transient unit of its own: this program may itself be in a unit's sandbox, in which no
/// container's files can be set up, and nothing that Podman starts may end with this program.
struct Podman {
  /// Podman's own file; `.notFound` where there is none.
  static func program() throws(HostFailure) -> String { try ChildProcess.find("podman") }

  /// Runs Podman to its end, whatever that is.
  static func run(_ arguments: [String], within: Span) throws(HostFailure) -> HostCommandResult {
    let seconds = max(within.milliseconds / 1000, 1)
    let limit = Deadline(in: .seconds(seconds))
    let result = try HostCommand.run(
      [
        "systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--description=Switchyard: Podman",
        "--property=RuntimeMaxSec=\(seconds)s", "--setenv=HOME=/root", "--", try program(),
      ] + arguments, deadline: .seconds(seconds + 5), outputLimit: 1 << 20)
    // Its unit was ended for taking too long, which says nothing of what it was asked.
    guard result.status.isSuccess || !limit.passed else {
      throw HostFailure(.deadline, "podman \(arguments.first ?? "") had not ended after \(seconds) s")
    }
    return result
  }

  /// The same, where it must succeed; what it wrote. `what` says in an error what it was to do.
  static func done(_ what: String, _ arguments: [String], within: Span = .seconds(60)) throws(HostFailure)
    -> String
  {
    let result = try run(arguments, within: within)
    guard result.status.isSuccess else { throw failure(what, result) }
    return result.outputText
  }

  static func failure(_ what: String, _ result: HostCommandResult) -> HostFailure {
    let words = result.lastWords.isEmpty ? "\(result.status)" : result.lastWords
    let isFull = words.contains("no space left on device")
    return HostFailure(isFull ? .diskFull : .system, "\(what): podman: \(words)")
  }
}
