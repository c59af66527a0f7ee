import FoundationEssentials
import Glibc
import Subprocess
import SystemPackage
import Testing

/// A folder of its own for one test, removed at its end.
final class Scratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/switchyard-agent-test.XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.map { mkdtemp($0) != nil } ?? false
    }
    try #require(made)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  @discardableResult
  func write(_ text: String, to name: String) throws -> String {
    try Data(text.utf8).write(to: URL(filePath: file(name)), options: .atomic)
    return file(name)
  }
}

/// What a program said, and how it ended.
struct Ran: Sendable {
  let output: String
  let errors: String
  let status: TerminationStatus
}

/// Runs a program without anything inherited, for a minute at most.
func run(_ argv: [String], input: String = "") async throws -> Ran {
  var options = PlatformOptions()
  options.processGroupID = 0
  options.teardownSequence = [.send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .zero)]
  return try await bounded { [options] in
    let result = try await Subprocess.run(
      .name(argv[0]), arguments: Arguments(Array(argv.dropFirst())), environment: .inherit,
      workingDirectory: "/tmp", platformOptions: options, input: .string(input),
      output: .string(limit: 16 << 20), error: .string(limit: 1 << 20))
    return Ran(
      output: result.standardOutput, errors: result.standardError, status: result.terminationStatus)
  }
}

struct TookTooLong: Error {}

/// What `body` returns; an error where it takes longer than any good run would.
func bounded<Value: Sendable>(
  _ limit: Duration = .seconds(60), _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withThrowingTaskGroup(of: Value.self) { group in
    defer { group.cancelAll() }
    group.addTask { try await body() }
    group.addTask {
      try await Task.sleep(for: limit)
      throw TookTooLong()
    }
    return try #require(try await group.next())
  }
}

/// Waits until something is so.
func eventually(
  _ what: Comment, within limit: Duration = .seconds(20), _ isSo: @Sendable () async throws -> Bool
) async throws {
  let end = ContinuousClock.now + limit
  while ContinuousClock.now < end {
    if try await isSo() { return }
    try await Task.sleep(for: .milliseconds(20))
  }
  Issue.record(what)
}
