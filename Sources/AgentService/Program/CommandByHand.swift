import HTTPTypes
import Logging
import NIOPosix
import RolloutModel

/// A command of the configuration's list that is run without the server: for whoever came to the host by another way, as the
/// agent's user. The request is read from standard input, and what is answered is printed, each as `POST /v1/commands` has it.
struct CommandByHand: Sendable {
  let configuration: AgentConfiguration
  let limits: Limits

  /// Runs what standard input asks for.
  func run() async -> AgentProgram.Exit {
    do {
      let request = try CommandRequest(json: try await body())
      let (command, argv) = try request.argv(configuration.commands)
      let logs = RunLogs(of: configuration, limits)
      let about = RunLogs.About(kind: "command", name: request.name, client: "ssh")
      let record = try await NIOThreadPool.singleton.runIfActive { try logs.begin(.made(), about) }
      return await told(
        CommandRun(
          argv: argv, timeout: command.timeout, limit: limits.output, record: record,
          log: Logger(label: "switchyard-agent") { _ in LineLog() }))
    } catch let error as AgentError {
      return await StandardStreams.print(error.body) ? .invalid : .failed
    } catch {
      return .failed
    }
  }

  /// Passes on what the command says. Where nobody listens any more, it is killed.
  private func told(_ run: CommandRun) async -> AgentProgram.Exit {
    let (lines, tell) = AsyncStream<CommandRun.Line>.makeStream()
    let work = Task {
      defer { tell.finish() }
      tell.yield(
        CommandRun.Line(json: await run.end { tell.yield(CommandRun.Line(json: $0)) }.line, isEnd: true))
    }
    var isHeard = true
    for await line in lines {
      await run.keep(line)
      if isHeard, await !StandardStreams.print(line.json) {
        isHeard = false
        work.cancel()
      }
    }
    return isHeard ? .done : .failed
  }

  /// All of standard input, which is short.
  private func body() async throws -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let piece = try await StandardStreams.read()
      if piece.isEmpty { return bytes }
      bytes += piece
      guard bytes.count <= limits.body else {
        throw AgentError(
          .contentTooLarge, "too_large", "the request has more than \(limits.body) bytes",
          hint: "send a shorter one")
      }
    }
  }
}
