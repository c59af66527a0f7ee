import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOPosix
import RolloutModel

/// What the agent carried out, and its logs.
struct RunRoutes: Sendable {
  let logs: RunLogs
  let limits: Limits
  private let places: Places

  init(logs: RunLogs, limits: Limits) {
    self.logs = logs
    self.limits = limits
    places = Places(limits.readers)
  }

  private static let chunk = 64 * 1024

  var routes: [Route] {
    let id = Documentation.Parameter(
      "id", .path, "The run", schema: ["type": "string", "format": "uuid"])
    let follow = Documentation.Parameter(
      "follow", .query, "1: the answer goes on until the run has ended", isRequired: false,
      schema: ["enum": ["0", "1"]])
    return [
      Route(
        .get, "/v1/runs", limit: limits.answer,
        .init(
          "What the agent carried out, latest first", tag: "runs",
          receives: .json([
            "type": "object", "properties": ["runs": ["type": "array", "items": Self.schema]],
          ]), failures: []), answer: list),
      Route(
        .get, "/v1/runs/{id}", limit: limits.answer,
        .init(
          "One run", tag: "runs", receives: .json(Self.schema), parameters: [id], failures: [400, 404])
      ) { call in
        let reader = try await reader(call)
        return Answer(try await NIOThreadPool.singleton.runIfActive { try reader.summary() })
      },
      Route(
        .get, "/v1/runs/{id}/log", limit: limits.answer,
        .init(
          "A run's log: what it is, what it said, how it ended, each line with its time (at, milliseconds since 1970)",
          tag: "runs", receives: .lines(["type": "object", "required": ["at"]]), parameters: [id, follow],
          failures: [400, 404]), answer: log),
    ]
  }

  @Sendable private func list(_ call: Call) async throws -> Answer {
    let runs = try await NIOThreadPool.singleton.runIfActive {
      try logs.all().map { try $0.reader.summary() }
    }
    return Answer(["runs": .list(runs)])
  }

  @Sendable private func log(_ call: Call) async throws -> Answer {
    guard !call.hasQuery("follow") || ["0", "1"].contains(call.query("follow")) else {
      throw AgentError.invalid("follow is neither 0 nor 1", hint: "ask for follow=1, or without it")
    }
    let follows = call.query("follow") == "1"
    let reader = try await reader(call)
    guard let place = places.take() else {
      throw AgentError(
        .serviceUnavailable, "busy", "\(limits.readers) logs are read already", hint: "ask again later")
    }
    let patience = Patience(call.channel, limit: limits.sending)
    return Answer(
      type: "application/x-ndjson",
      Answer.Stream(
        limit: limits.following,
        write: { writer in
          defer { withExtendedLifetime(place) {} }
          try await send(reader, follows: follows, &writer, patience)
        }, abandon: {}))
  }

  /// Sends the log as it is, or as it becomes until nobody writes it any more.
  private func send(
    _ reader: RunReader, follows: Bool, _ writer: inout any ResponseBodyWriter, _ patience: Patience
  ) async throws {
    var place: Int64 = 0
    while true {
      // Asked before the reading: what was written until then is read below.
      let goesOn = try await NIOThreadPool.singleton.runIfActive { try follows && reader.isWritten() }
      while true {
        let from = place
        let bytes = try await NIOThreadPool.singleton.runIfActive {
          try reader.file.read(Self.chunk, at: from)
        }
        if bytes.isEmpty { break }
        place += Int64(bytes.count)
        patience.start()
        defer { patience.stop() }
        try await writer.write(ByteBuffer(bytes: bytes))
      }
      guard goesOn else { return try await writer.finish(nil) }
      try await Task.sleep(for: .milliseconds(200))
    }
  }

  private func reader(_ call: Call) async throws -> RunReader {
    guard let id = RunID(call.parameter("id")) else {
      throw AgentError.invalid(
        "the path names no run", hint: "use 8-4-4-4-12 hexadecimal digits, or see GET /v1/runs")
    }
    let reader = try await NIOThreadPool.singleton.runIfActive { try logs.open(id) }
    guard let reader else {
      throw AgentError(
        .notFound, "no_such_run", "there is no log of a run \(id.text) here",
        hint:
          "GET /v1/runs has those that there are: old ones are removed; nothing follows from a log that is not there"
      )
    }
    return reader
  }

  private static let schema: JSON = [
    "type": "object", "required": ["id", "kind", "name", "state"],
    "properties": [
      "id": ["type": "string", "format": "uuid"], "kind": ["type": "string"], "name": ["type": "string"],
      "client": ["type": "string"], "state": ["enum": ["running", "ended", "broken_off"]],
      "began_at": ["type": ["integer", "null"], "description": "Milliseconds since 1970"],
      "ended_at": ["type": ["integer", "null"]],
      "end": ["type": ["object", "null"], "description": "The log's last line"],
      "bytes": ["type": "integer"],
    ],
  ]
}
