import AgentRPC
import ArgumentParser
import EventLoop
import FoundationEssentials
import Playbooks
import Ports
import RolloutModel
import Synchronization

/// Runs one playbook for a verb: the doors, what is told meanwhile, signals.
struct PlaybookWork {
  /// How a run has ended, and whether somebody asked for its end.
  struct Ended {
    let report: PlaybookReport
    let isInterrupted: Bool
    /// The name of its log; nil where there is none.
    let run: String?

    /// Leaves with the exit code that says so, where it is not 0.
    func leave() throws {
      if let code { throw ExitCode(code) }
    }

    /// Nil where every host has done all that was asked.
    var code: Int32? {
      if isInterrupted { return CommandError.aborted }
      if report.isLate { return CommandError.timedOut }
      let good = report.hosts.count { $0.isGood }
      if good == report.hosts.count { return nil }
      return good == 0 ? CommandError.toolError : CommandError.exceptions
    }
  }

  let job: PlaybookJob
  let door: PlaybookDoorOptions
  let output: OutputOptions
  let runner: String?
  /// Where the run leaves its log; nil where it leaves none.
  let state: StateOptions?
  /// Nothing is told on standard output.
  var isQuiet = false

  func carryOut() async throws -> Ended {
    let environment = ProcessInfo.processInfo.environment
    let choice = try door.choice()
    let tools: AnsibleTools
    do throws(PlaybookError) { tools = try AnsibleTools.find(runner, environment: environment) } catch {
      throw Self.commandError(error)
    }
    guard let choice else {
      return try await run(AnsiblePlaybooks(tools: tools, doors: .ssh, environment: environment))
    }
    let loop = try EventLoop(name: "switchyard-io")
    let settings = RPCSettings(
      port: choice.port, authority: choice.authority, certificate: choice.certificate, key: choice.key,
      token: choice.token)
    // It opens no tunnel, whose socket would lie in the folder.
    let rpc = try RPCDoor(settings, loop: loop, folder: "/nonexistent")
    let result: Result<Ended, any Error>
    do {
      let doors: AnsiblePlaybooks.Doors = choice.fallsBack ? .auto(rpc) : .rpc(rpc)
      result = .success(try await run(AnsiblePlaybooks(tools: tools, doors: doors, environment: environment)))
    } catch {
      result = .failure(error)
    }
    await rpc.close()
    loop.stop()
    return try result.get()
  }

  private func run(_ playbooks: AnsiblePlaybooks) async throws -> Ended {
    let view = PlaybookView.make(job, output, isQuiet: isQuiet)
    let job = job
    let log = try state.flatMap { PlaybookRunLog(job, state: try $0.checked()) { Output.error($0) } }
    let work = Task { () async -> Result<PlaybookReport, PlaybookError> in
      do throws(PlaybookError) {
        return .success(
          try await playbooks.run(job) { event in
            log?.take(event)
            await view.take(event)
          })
      } catch {
        return .failure(error)
      }
    }
    let interrupted = Interrupted()
    let signals = Signals { _ in
      interrupted.set()
      work.cancel()
    }
    let result = await work.value
    signals.end()
    switch result {
    case .success(let report):
      await log?.close(report.isLate ? "the deadline has passed: it was ended" : "it has ended")
      try await view.finish(report, run: log?.id)
      return Ended(report: report, isInterrupted: interrupted.isSet, run: log?.id)
    case .failure(let error):
      await log?.close(error.description)
      await view.abandon()
      throw Self.commandError(error)
    }
  }

  private static func commandError(_ error: PlaybookError) -> CommandError {
    switch error.kind {
    case .invalid: .invalid(error.description)
    case .tool: .tool(error.description)
    }
  }

  /// Whether a signal has come.
  private final class Interrupted: Sendable {
    private let value = Mutex(false)

    var isSet: Bool { value.withLock { $0 } }

    func set() { value.withLock { $0 = true } }
  }
}
