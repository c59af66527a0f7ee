import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import RolloutModel

/// Runs commands from the configuration's list.
struct CommandRoute: Sendable {
  let commands: [String: AgentCommand]
  let logs: RunLogs
  let limits: Limits
  private let places: Places

  init(commands: [String: AgentCommand], logs: RunLogs, limits: Limits) {
    self.commands = commands
    self.logs = logs
    self.limits = limits
    places = Places(limits.commands)
  }

  var route: Route {
    Route(
      .post, "/v1/commands", limit: limits.answer,
      .init(
        "Runs a command from the configuration's list; what it says comes as it says it", tag: "host",
        sends: .json(Self.request), receives: .lines(Self.line),
        parameters: [
          .init(
            RunID.header, .header,
            "What the run is to be called; one of that name is never carried out twice",
            isRequired: false, schema: ["type": "string", "format": "uuid"])
        ], failures: [400, 403, 409, 413, 507]), answer: answer)
  }

  @Sendable private func answer(_ call: Call) async throws -> Answer {
    let body = try await call.body.whole(upTo: limits.body)
    let request = try CommandRequest(json: Array(body.readableBytesView))
    let (command, argv) = try request.argv(commands)
    guard let place = places.take() else {
      throw AgentError(
        .serviceUnavailable, "busy", "\(limits.commands) commands run already", hint: "ask again later")
    }
    let id = try RunID.of(call.request.headers)
    let about = RunLogs.About(kind: "command", name: request.name, client: call.caller?.label ?? "")
    let record = try await NIOThreadPool.singleton.runIfActive { try logs.begin(id, about) }
    let run = CommandRun(
      argv: argv, timeout: command.timeout, limit: limits.output, record: record, log: log(call, id))
    run.log.info(
      "a command is run",
      metadata: ["command": .string(request.name), "argv": .string(argv.joined(separator: " "))])
    let patience = Patience(call.channel, limit: limits.sending)
    var answer = Answer(
      type: "application/x-ndjson",
      Answer.Stream(
        limit: command.timeout.duration + limits.sending,
        write: { writer in
          defer { withExtendedLifetime(place) {} }
          try await run.run(&writer, patience)
        }, abandon: { run.abandon() }))
    if let name = HTTPField.Name(RunID.header) { answer.headers[name] = id.text }
    return answer
  }

  private func log(_ call: Call, _ id: RunID) -> Logger {
    var log = call.named
    log[metadataKey: "run"] = .string(id.text)
    return log
  }

  private static let request: JSON = [
    "type": "object", "required": ["name"], "additionalProperties": false,
    "properties": [
      "name": ["type": "string"],
      "arguments": ["type": "object", "additionalProperties": ["type": "string", "maxLength": 256]],
    ],
  ]

  private static let line: JSON = [
    "oneOf": [
      [
        "type": "object", "required": ["stream", "data"],
        "properties": ["stream": ["enum": ["stdout", "stderr"]], "data": ["type": "string"]],
      ],
      ["type": "object", "required": ["truncated"], "properties": ["truncated": ["const": true]]],
      ["type": "object", "required": ["exit"], "properties": ["exit": ["type": "integer"]]],
      ["type": "object", "required": ["signal"], "properties": ["signal": ["type": "string"]]],
      ["type": "object", "required": ["timeout"], "properties": ["timeout": ["const": true]]],
      ["type": "object", "required": ["broken_off"], "properties": ["broken_off": ["const": true]]],
      ["$ref": "#/components/schemas/Error"],
    ]
  ]
}
