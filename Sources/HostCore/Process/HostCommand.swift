import Glibc
import RolloutModel

/// What a program did.
package struct HostCommandResult: Sendable {
  /// How it ended.
  package var status: ExitStatus
  /// The beginning of what it wrote, up to the limit.
  package var stdout: [UInt8]
  /// The beginning of what it complained of, up to the limit.
  package var stderr: [UInt8]

  /// What it wrote, as text; invalid bytes replaced.
  package var outputText: String { String(decoding: stdout, as: UTF8.self) }

  /// The last line that it complained of, or else wrote, escaped for a terminal; empty where it said nothing.
  package var lastWords: String {
    for text in [stderr, stdout] {
      let lines = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline)
      if let line = lines.last(where: { !$0.allSatisfy(\.isWhitespace) }) {
        return escapedForTerminal(line, limit: 300)
      }
    }
    return ""
  }
}

/// Runs programs on the host: argument arrays only, no shell, each with a deadline and a bound on what it may say.
package enum HostCommand {
  /// Runs a program to its end. Throws `.notFound` where there is none, `.deadline` where it was ended for taking too
  /// long (with all processes of its group), `.system` where it could not be started.
  package static func run(
    _ argv: [String], stdin: [UInt8] = [], environment: [EnvironmentVariable] = [], deadline: Span,
    outputLimit: Int = 64 * 1024
  ) throws(HostFailure) -> HostCommandResult {
    let limit = Deadline(in: deadline)
    let child = try ChildProcess(
      argv, stdin: stdin.isEmpty ? nil : try filledPipe(stdin), environment: environment)
    var output = Collected(child.output, limit: outputLimit)
    var errors = Collected(child.errors, limit: outputLimit)
    var afterwards = 0
    // A grandchild may keep the streams open, or write, for ever: once the program itself has ended, what is there is all.
    while !(output.ended && errors.ended) && afterwards < 64 {
      if limit.passed { throw tooLong(child, deadline) }
      let ended = child.exited() != nil
      afterwards += ended ? 1 : 0
      var waits = [pollfd(output), pollfd(errors)]
      let ready = poll(&waits, 2, ended ? 0 : limit.pollTimeout(cap: 20))
      if ready < 0 && errno != EINTR { throw systemFailure("waiting for \(child.name)") }
      try output.collect(child.name)
      try errors.collect(child.name)
      if ended && ready <= 0 { break }
    }
    guard let status = child.exited(by: limit) else { throw tooLong(child, deadline) }
    return HostCommandResult(status: status, stdout: output.bytes, stderr: errors.bytes)
  }

  /// What fits into a pipe at once, on every kernel: written before the program runs, it can neither block nor break.
  private static let inputLimit = 64 * 1024

  private static func filledPipe(_ bytes: [UInt8]) throws(HostFailure) -> Descriptor {
    guard bytes.count <= inputLimit else {
      throw HostFailure(.invalid, "the input of a command has \(bytes.count) bytes, more than \(inputLimit)")
    }
    let (reading, writing) = try ChildProcess.pipe()
    try writeAll(writing.number, bytes, what: "writing the input of a command")
    return reading
  }

  private static func tooLong(_ child: ChildProcess, _ deadline: Span) -> HostFailure {
    child.end()
    return HostFailure(.deadline, "\(child.name) had not ended after \(deadline) and was killed")
  }
}

/// The bounded beginning of a stream.
private struct Collected {
  private(set) var bytes: [UInt8] = []
  private(set) var ended = false
  private let limit: Int
  private let source: Descriptor

  init(_ source: Descriptor, limit: Int) {
    self.source = source
    self.limit = limit
  }

  /// A negative descriptor is one that poll leaves out.
  var waitable: Int32 { ended ? -1 : source.number }

  /// Takes what is there; what exceeds the limit is read and dropped, so that the program is not held up by it.
  mutating func collect(_ name: String) throws(HostFailure) {
    guard !ended else { return }
    guard let piece = try readOnce(source.number, limit: 16 * 1024, what: "reading from \(name)") else {
      return
    }
    if piece.isEmpty { ended = true }
    bytes += piece.prefix(max(limit - bytes.count, 0))
  }
}

extension pollfd {
  fileprivate init(_ stream: Collected) {
    self.init(fd: stream.waitable, events: Int16(POLLIN), revents: 0)
  }
}
