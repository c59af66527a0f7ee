import HTTPTypes
import Logging
import NIOCore
import RolloutModel

/// Runs commands from the configuration's list.
struct CommandRoute: Sendable {
  let commands: [String: AgentCommand]
  let limits: Limits
  private let places: Places

  init(commands: [String: AgentCommand], limits: Limits) {
    self.commands = commands
    self.limits = limits
    places = Places(limits.commands)
  }

  var route: Route {
    Route(
      .post, "/v1/commands", limit: limits.answer,
      .init(
        "Runs a command from the configuration's list; what it says comes as it says it", tag: "host",
        sends: .json(Self.request), receives: .lines(Self.line), failures: [400, 403, 413]), answer: answer)
  }

  @Sendable private func answer(_ call: Call) async throws -> Answer {
    let body = try await call.body.whole(upTo: limits.body)
    let request = try CommandRequest(json: Array(body.readableBytesView))
    let (command, argv) = try request.argv(commands)
    guard let place = places.take() else {
      throw AgentError(
        .serviceUnavailable, "busy", "\(limits.commands) commands run already", hint: "ask again later")
    }
    let run = CommandRun(argv: argv, timeout: command.timeout, limit: limits.output)
    call.named.info(
      "a command is run",
      metadata: ["command": .string(request.name), "argv": .string(argv.joined(separator: " "))])
    return Answer(
      type: "application/x-ndjson",
      Answer.Stream(
        limit: command.timeout.duration + limits.sending,
        write: { writer in
          defer { withExtendedLifetime(place) {} }
          try await run.run(&writer)
        }, abandon: {}))
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
      ["$ref": "#/components/schemas/Error"],
    ]
  ]
}
