import FoundationEssentials
import Logging
import NIOCore
import RolloutModel
import Synchronization
import Testing

@testable import AgentService

/// The real server on loopback.
struct RunningAgent: Sendable {
  let authority: Authority
  let port: Int
  let scratch: Scratch
  /// Asks the agent to end.
  let stop: @Sendable () -> Void
  /// What it logged.
  let log: CollectedLog

  /// Runs an agent for as long as `body` does.
  static func with<Value: Sendable>(
    limits: Limits = Limits(), revocations: RevocationReader? = nil,
    configure: @Sendable (inout AgentConfiguration, Scratch) throws -> Void = { _, _ in },
    _ body: @escaping @Sendable (RunningAgent) async throws -> Value
  ) async throws -> Value {
    let authority = try await Authority.shared.value
    let scratch = try Scratch()
    var configuration = AgentConfiguration(
      listen: "127.0.0.1", certificate: authority.pair("agent").certificate, key: authority.pair("agent").key,
      authority: authority.root, revoked: nil, controllers: nil, hostSocket: scratch.file("host.sock"),
      tunnels: [], drain: .seconds(30), state: scratch.path,
      uploadLimit: 64 << 20, uploadTotal: 128 << 20, tokenHash: nil, services: [], commands: [:])
    configuration.playbookSocket = scratch.file("playbook.sock")
    try configure(&configuration, scratch)
    let log = CollectedLog()
    let server = try AgentServer(
      configuration, port: 0, slot: "blue", revocations: revocations, limits: limits,
      log: Logger(label: "test") { _ in log })
    let (stopped, end) = AsyncStream<Void>.makeStream()
    let (ports, tell) = AsyncStream<Int>.makeStream()
    return try await bounded(.seconds(120)) {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          defer { tell.finish() }
          try await server.run(until: { for await _ in stopped {} }) { address in
            if let port = address?.port { tell.yield(port) }
          }
        }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        let agent = RunningAgent(
          authority: authority, port: port, scratch: scratch, stop: { end.finish() }, log: log)
        let result: Result<Value, any Error>
        do { result = .success(try await body(agent)) } catch { result = .failure(error) }
        end.finish()
        try await group.waitForAll()
        return try result.get()
      }
    }
  }

  /// Asks with curl: the status (0 where there is none) and the body.
  func curl(
    _ path: String, as client: String? = "ops", _ options: [String] = [], input: String = ""
  ) async throws -> (status: Int, body: String) {
    var argv = ["curl", "-sS", "--max-time", "30", "--cacert", authority.root, "-w", "\n%{http_code}"]
    if let client {
      let pair = authority.pair(client)
      argv += ["--cert", pair.certificate, "--key", pair.key]
    }
    let ran = try await run(argv + options + ["https://127.0.0.1:\(port)\(path)"], input: input)
    let lines = ran.output.split(separator: "\n", omittingEmptySubsequences: false)
    return (lines.last.flatMap { Int($0) } ?? 0, lines.dropLast().joined(separator: "\n"))
  }
}

/// Keeps what is logged, as the lines that would be written.
struct CollectedLog: LogHandler {
  private let kept = Kept()
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .debug

  var text: String { kept.lines.withLock { $0.joined(separator: "\n") } }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let line = LineLog.line(of: event, metadata)
    kept.lines.withLock { $0.append(line) }
  }

  private final class Kept: Sendable { let lines = Mutex<[String]>([]) }
}

/// Serials that are revoked, given in a file, one hexadecimal number a line.
struct ListedSerials: RevokedSerials {
  let serials: [[UInt8]]
  var nextUpdate: Date?
  var number: Int64 { 7 }

  static let reader: RevocationReader = { list, _ in
    let words = String(decoding: list, as: UTF8.self).split(separator: "\n")
    guard words.first == "LIST" else { throw NoList() }
    return ListedSerials(serials: words.dropFirst().map { bytes(String($0)) })
  }

  struct NoList: Error {}

  func isRevoked(serial: [UInt8]) -> Bool { serials.contains(serial) }

  private static func bytes(_ text: String) -> [UInt8] {
    var rest = Substring(text)
    var bytes: [UInt8] = []
    while rest.count >= 2, let byte = UInt8(rest.prefix(2), radix: 16) {
      bytes.append(byte)
      rest = rest.dropFirst(2)
    }
    return bytes
  }
}
