import ArgumentParser
import Glibc
import RolloutModel

/// The program `switchyard`.
struct Switchyard: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "switchyard",
    abstract:
      "Upgrades host agents across a fleet, blue-green and gated by their health, with an undo that is always ready.",
    discussion: """
      Exit codes: 0 done as asked, 1 tool error, 2 invalid input (nothing changed), 3 rolled back, 4 rollback incomplete, \
      5 paused or waiting for approval, 6 halted by a budget, 7 promoted with exceptions, or cert status: \
      something ends soon, or playbook and service: done on some hosts alone, 8 aborted, 9 plan: hosts would fail, 124 the time given was over.

      `switchyard --version` tells the program's own version; `switchyard --generate-completion-script bash` (or zsh, fish) \
      prints completions for a shell.
      """,
    subcommands: [
      RolloutCommand.self, PolicyCommand.self, HostsCommand.self, AgentCommand.self, JournalCommand.self,
      CertCommand.self, LogsCommand.self, PlaybookCommand.self, ServiceCommand.self, SimulateVerb.self,
    ])
}

/// Runs the program: arguments in, exit code out.
public enum SwitchyardProgram {
  /// Parses the arguments, runs the verb and exits.
  public static func run() async {
    // A reader that goes away (`| head`) ends our output, not the rollout.
    signal(SIGPIPE, SIG_IGN)
    // Whoever started us may have it ignored: the ends of the programs that we start would be lost.
    signal(SIGCHLD, SIG_DFL)
    // Not ArgumentParser's own flag: that one answers, as a success, any `--version V` of a verb that lacks something else.
    if CommandLine.arguments.dropFirst().elementsEqual(["--version"]) {
      Output.line("switchyard \(switchyardVersion)")
      exit(Output.exitCode())
    }
    do {
      try VerbNames.check(Array(CommandLine.arguments.dropFirst()))
      var command = try Switchyard.parseAsRoot()
      if var verb = command as? any AsyncParsableCommand {
        try await verb.run()
      } else {
        try command.run()
      }
    } catch let error as CommandError {
      Output.error(error.description)
      exit(error.code)
    } catch {
      leave(over: error)
    }
    exit(Output.exitCode())
  }

  private static func leave(over error: any Error) -> Never {
    let code = Switchyard.exitCode(for: error)
    let message = Switchyard.fullMessage(for: error)
    if code.isSuccess {
      // Help, or a script for a shell, which must arrive as it is.
      if !message.isEmpty { Output.write(message + "\n", to: STDOUT_FILENO) }
      exit(Output.exitCode())
    }
    if !message.isEmpty { Output.error(message) }
    // Said; the verb's own code tells more.
    _ = Output.exitCode()
    // Arguments that can't be understood are invalid input; verbs end with codes of their own.
    if let given = error as? ExitCode { exit(given.rawValue) }
    exit(code == .validationFailure ? CommandError.invalidInput : CommandError.toolError)
  }
}
