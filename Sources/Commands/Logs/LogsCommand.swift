import ArgumentParser
import JournalStore
import Ports
import RolloutModel
import RunLogs

struct LogsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logs",
    abstract:
      "Print a run's log: what went to hosts, what probes saw, what units said, in one order.",
    discussion:
      "What decides is the journal, which `switchyard rollout logs` prints."
  )

  @Argument(
    help:
      "The run: a rollout, or what `playbook run` and `service` have named; the newest rollout where none is given."
  )
  var run: String?

  @OptionGroup var state: StateOptions
  @OptionGroup var output: OutputOptions

  @Option(help: "Only this host.")
  var host: String?

  @Option(
    parsing: .singleValue,
    help: "Only lines of this kind, several times for several: rollout, step, gate, playbook, ssh, rpc, unit."
  )
  var source: [RunLogSource] = []

  @Flag(help: "Go on until nobody writes to it any more.")
  var follow = false

  func run() async throws {
    let folder = RunLogFolder(state: try state.checked())
    var reader: RunLogReader
    do throws(RunLogError) { reader = try RunLogReader(try await identifier(), in: folder) } catch {
      throw error.isMissing ? CommandError.invalid(error.description) : CommandError.tool(error.description)
    }
    defer { reader.close() }
    while true {
      // Asked before the lines are read, so that none that came before the end is missed.
      let isLast = !follow || !reader.isBeingWritten
      while case let lines = reader.next(), !lines.isEmpty {
        for line in lines where isWanted(line) { try show(line) }
      }
      if isLast { return }
      try await SystemTimekeeper().sleep(Span(milliseconds: 200))
    }
  }

  private func identifier() async throws(RunLogError) -> String {
    if let run { return run }
    do { return try await Rollouts.read(state).find(nil).id } catch {
      throw RunLogError("\(error)", isMissing: true)
    }
  }

  private func isWanted(_ line: RunLogLine) -> Bool {
    (host == nil || line.host == host) && (source.isEmpty || source.contains(line.source))
  }

  private func show(_ line: RunLogLine) throws {
    if output.isJSON {
      try Output.json(line, pretty: false)
    } else {
      Output.styled { _ in [LogText.line(line)] }
    }
  }
}

extension RunLogSource: ExpressibleByArgument {}
