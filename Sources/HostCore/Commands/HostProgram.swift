import FoundationEssentials
import Glibc
import RolloutModel

/// The host program's verbs.
package enum HostProgram {
  /// Why a verb ended; the process' exit status.
  package enum Exit: Int32 {
    case done = 0
    case failed = 1
    case invalid = 2
    case rollbackIncomplete = 4
  }

  /// Does what the arguments (without the program's own name) say.
  package static func run(_ arguments: [String], environment: [String: String]) -> Exit {
    // A controller that has gone must not end an operation half way.
    for number in [SIGPIPE, SIGHUP] { signal(number, SIG_IGN) }
    // Where it is ignored, the ends of the programs that we start are lost.
    signal(SIGCHLD, SIG_DFL)
    do throws(HostFailure) { return try dispatch(arguments, environment) } catch {
      complain(error)
      return error.code == .unsupported && arguments.isEmpty ? .invalid : .failed
    }
  }

  private static func dispatch(
    _ arguments: [String], _ environment: [String: String]
  ) throws(HostFailure) -> Exit {
    guard let verb = arguments.first else { return misuse("a verb is missing") }
    let rest = Array(arguments.dropFirst())
    switch (verb, rest.count) {
    case ("--version", 0): say(switchyardVersion)
    case ("--help", 0), ("-h", 0), ("help", 0): say(usage)
    case ("serve", 0):
      EndSignal.putOff()
      let service = HostService(hands: try HostHands(), version: switchyardVersion)
      try Conversation(input: 0, output: 1).run(service)
    case ("rollback", 1...): return try rollback(rest)
    case ("status", 1...2): return try status(rest)
    case ("tick", 1): return try tick(rest[0])
    case ("stopped", 2): return try stopped(rest[0], rest[1], environment)
    case ("restore", 0...1):
      let only: AgentName? = if let name = rest.first { try agent(name) } else { nil }
      return try RestoreAtBoot(hands: try HostHands(), only: only).run()
    case ("playbook", 0): return try playbook(environment)
    case ("guard", 0):
      EndSignal.putOff()
      try TrafficGuard(hands: try HostHands()).run()
    default:
      return misuse("`\(arguments.map { escapedForTerminal($0) }.joined(separator: " "))` is not understood")
    }
    return .done
  }

  private static let usage = """
    switchyard-host: what Switchyard does on a host.

      switchyard-host status AGENT [--json]      how the agent is on this host
      switchyard-host rollback AGENT [--reason TEXT] [--take-over]
                                                 back to the retained side, from this host's own state alone
      switchyard-host --version | --help

    Called by others: serve (a controller's conversation), playbook (a controller's playbook), tick AGENT (timer),
    stopped AGENT SLOT (a unit's end), restore [AGENT] (boot), guard (traffic rules).

    Exit status: 0 done · 1 failed · 2 not understood, nothing changed · 4 rollback incomplete
    """

  static func misuse(_ why: String) -> Exit {
    complain(HostFailure(.invalid, why, hint: "see switchyard-host --help"))
    return .invalid
  }

  static func say(_ text: String) { print(text) }

  static func complain(_ failure: HostFailure) {
    var text = "switchyard-host: \(failure.message)\n"
    if !failure.hint.isEmpty { text += "  \(failure.hint)\n" }
    for line in failure.lastLines { text += "  | \(line)\n" }
    note(text)
  }

  /// Writes to standard error, as far as anybody listens there.
  static func note(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(2, bytes, bytes.count)
  }

  static func agent(_ text: String) throws(HostFailure) -> AgentName {
    guard let agent = AgentName(text) else {
      throw HostFailure(
        .invalid, "\(escapedForTerminal(text)) is no agent's name",
        hint: "one begins with a to z and has up to 31 of a to z, 0 to 9 and -")
    }
    return agent
  }
}
