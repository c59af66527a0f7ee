import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import RolloutModel
import Subprocess
import SystemPackage

/// One run of a command: no shell, no input, an environment of its own, a process group of its own. It is killed, group and all,
/// when its time is over or the client has gone. Its log has all that the client is sent, and its end also where the client is not
/// there any more.
struct CommandRun: Sendable {
  let argv: [String]
  let timeout: Span
  /// How much of the output is passed on; what comes after is read and dropped.
  let limit: Int
  let record: RunLog
  let log: Logger

  private static let environment: [Subprocess.Environment.Key: String] = [
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
  ]

  struct Line: Sendable {
    let json: JSON
    var isEnd = false
  }

  /// Runs it, and writes what it says as lines of JSON, how it ended last. A client that takes nothing for too long is none.
  func run(_ writer: inout any ResponseBodyWriter, _ patience: Patience) async throws {
    let (lines, tell) = AsyncStream<Line>.makeStream()
    let (kept, pass) = AsyncStream<Line>.makeStream()
    // No part of what is cancelled with the client: the log is written to its end.
    let keeper = Task {
      for await line in lines {
        await keep(line)
        pass.yield(line)
      }
      pass.finish()
    }
    let result: Result<Void, any Error>
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          defer { tell.finish() }
          tell.yield(Line(json: await end { tell.yield(Line(json: $0)) }.line, isEnd: true))
        }
        for await line in kept { try await Self.write(line.json, &writer, patience) }
        try await group.waitForAll()
        try Task.checkCancellation()
        try await writer.finish(nil)
      }
      result = .success(())
    } catch {
      result = .failure(error)
    }
    await keeper.value
    try result.get()
  }

  /// The log of a run that never was.
  func abandon() {
    Task { await keep(Line(json: CommandEnd.brokenOff.line, isEnd: true)) }
  }

  /// A log that can't be written does not end the command: whoever asked for it hears all.
  func keep(_ line: Line) async {
    do {
      try await NIOThreadPool.singleton.runIfActive { try record.append(line.json, isEnd: line.isEnd) }
    } catch {
      log.error(
        "a run's log can't be written",
        metadata: ["run": .string(record.id.text), "error": .string("\(error)")])
    }
  }

  /// Runs it to its end.
  func end(_ tell: @escaping @Sendable (JSON) -> Void) async -> CommandEnd {
    do {
      return .status(try await within(timeout.duration) { try await status(tell) })
    } catch is DeadlinePassed {
      return .timeout
    } catch let error as SubprocessError where !Task.isCancelled {
      return .notRun(
        AgentError(
          .internalServerError, "not_run", "the command can't be run: \(escapedForTerminal("\(error)"))",
          hint: "look at the program on the host"))
    } catch {
      return .brokenOff
    }
  }

  /// Runs it to its end; a cancelled task kills it.
  private func status(_ tell: @escaping @Sendable (JSON) -> Void) async throws -> TerminationStatus {
    var options = PlatformOptions()
    options.processGroupID = 0
    options.teardownSequence = [
      .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .zero)
    ]
    let output = CommandOutput(limit: limit, tell: tell)
    let status = try await Subprocess.run(
      .path(FilePath(argv.first ?? "")), arguments: Arguments(Array(argv.dropFirst())),
      environment: .custom(Self.environment), workingDirectory: "/", platformOptions: options, input: .none,
      output: .sequence, error: .sequence
    ) { execution in
      try await withThrowingTaskGroup(of: Void.self) { readers in
        readers.addTask { try await output.read(execution.standardOutput, as: "stdout") }
        readers.addTask { try await output.read(execution.standardError, as: "stderr") }
        try await readers.waitForAll()
      }
    }.terminationStatus
    // That it was killed for us is no end of its own.
    try Task.checkCancellation()
    return status
  }

  private static func write(
    _ line: JSON, _ writer: inout any ResponseBodyWriter, _ patience: Patience
  ) async throws {
    var buffer = ByteBuffer(bytes: line.bytes)
    buffer.writeString("\n")
    patience.start()
    defer { patience.stop() }
    try await writer.write(buffer)
  }
}
