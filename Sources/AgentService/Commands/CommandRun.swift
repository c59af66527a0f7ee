import HTTPTypes
import HummingbirdCore
import NIOCore
import RolloutModel
import Subprocess
import SystemPackage

/// One run of a command: no shell, no input, an environment of its own, a process group of its own. It is killed, group and all,
/// when its time is over or the client has gone.
struct CommandRun: Sendable {
  let argv: [String]
  let timeout: Span
  /// How much of the output is passed on; what comes after is read and dropped.
  let limit: Int

  private static let environment: [Subprocess.Environment.Key: String] = [
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
  ]

  /// Runs it, and writes what it says as lines of JSON, how it ended last.
  func run(_ writer: inout any ResponseBodyWriter) async throws {
    let (lines, tell) = AsyncStream<JSON>.makeStream()
    try await withThrowingTaskGroup(of: JSON.self) { group in
      group.addTask {
        defer { tell.finish() }
        return try await end(tell)
      }
      for await line in lines { try await Self.write(line, &writer) }
      guard let end = try await group.next() else { return }
      try await Self.write(end, &writer)
      try await writer.finish(nil)
    }
  }

  /// The line that says how it ended.
  func end(_ tell: AsyncStream<JSON>.Continuation) async throws -> JSON {
    do {
      return Self.shown(try await within(timeout.duration) { try await status(tell) })
    } catch is DeadlinePassed {
      return ["timeout": true]
    } catch let error as SubprocessError {
      return AgentError(
        .internalServerError, "not_run", "the command can't be run: \(escapedForTerminal("\(error)"))",
        hint: "look at the program on the host"
      ).body
    }
  }

  /// Runs it to its end; a cancelled task kills it.
  private func status(_ tell: AsyncStream<JSON>.Continuation) async throws -> TerminationStatus {
    var options = PlatformOptions()
    options.processGroupID = 0
    options.teardownSequence = [
      .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .zero)
    ]
    let output = CommandOutput(limit: limit, tell: tell)
    return try await Subprocess.run(
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
  }

  private static func write(_ line: JSON, _ writer: inout any ResponseBodyWriter) async throws {
    var buffer = ByteBuffer(bytes: line.bytes)
    buffer.writeString("\n")
    try await writer.write(buffer)
  }

  private static func shown(_ status: TerminationStatus) -> JSON {
    switch status {
    case .exited(let code): ["exit": .number(Int64(code))]
    case .signaled(let signal): ["signal": .text(SignalName.of(signal))]
    }
  }
}
