import FoundationEssentials
import HTTPTypes
import HostProtocol
import Logging
import RolloutModel

/// Services of the host that the configuration lists: the host program looks at them, starts and stops them.
struct ServiceRoutes: Sendable {
  let allowed: [ServiceName]
  let limits: Limits
  private let conversation: HostConversation
  private let places: Places

  init(allowed: [ServiceName], host: HostSocket, limits: Limits) {
    self.allowed = allowed
    self.limits = limits
    conversation = HostConversation(socket: host)
    places = Places(limits.services)
  }

  /// How long a job is waited for where the client says nothing.
  private static let timeout = Span.seconds(60)
  /// What the host program takes beside that.
  private static let margin = Duration.seconds(15)

  var routes: [Route] {
    let name = Documentation.Parameter("name", .path, "A unit that the configuration lists in services")
    let timeout = Documentation.Parameter(
      "timeout", .query, "Seconds that the job's end is waited for", isRequired: false,
      schema: ["type": "integer", "minimum": 1, "maximum": 600, "default": 60])
    let list = Route(
      .get, "/v1/services", limit: limits.answer,
      .init(
        "The services that may be asked for, as they are", tag: "services",
        receives: .json([
          "type": "object", "properties": ["services": ["type": "array", "items": Self.schema]],
        ]),
        failures: [502, 504]), answer: list)
    let look = Route(
      .get, "/v1/services/{name}", limit: limits.answer,
      .init(
        "A service as it is", tag: "services", receives: .json(Self.schema), parameters: [name],
        failures: [404, 502, 504])
    ) { call in
      let unit = try unit(call)
      return Answer(
        try await report(ServiceOrder(unit: unit, action: .status, deadline: Self.timeout), call).json)
    }
    let changes = [ServiceAction.start, .stop, .restart].map { action in
      Route(
        .post, "/v1/services/{name}/\(action.rawValue)", limit: nil,
        .init(
          "What the service is like after this: \(action.rawValue)", tag: "services",
          receives: .json(Self.schema), parameters: [name, timeout], failures: [400, 404, 409, 502, 504])
      ) { call in try await change(action, call) }
    }
    return [list, look] + changes
  }

  @Sendable private func list(_ call: Call) async throws -> Answer {
    guard !allowed.isEmpty else { return Answer(["services": []]) }
    let orders = allowed.map {
      HostRequest.service(ServiceOrder(unit: $0, action: .status, deadline: Self.timeout))
    }
    let replies = try await placed {
      try await conversation.ask(orders, for: call.channel, within: limits.answer)
    }
    let services = try replies.map { reply in try Self.report(reply).json }
    return Answer(["services": .list(services)])
  }

  private func change(_ action: ServiceAction, _ call: Call) async throws -> Answer {
    let unit = try unit(call)
    let deadline = try Self.timeout(call)
    call.named.notice("a service is to change", metadata: ["action": .string(action.rawValue)])
    let report = try await report(ServiceOrder(unit: unit, action: action, deadline: deadline), call)
    return Answer(report.json)
  }

  private func report(_ order: ServiceOrder, _ call: Call) async throws -> ServiceReport {
    let limit = order.action == .status ? limits.answer : order.deadline.duration + Self.margin
    let replies = try await placed {
      try await conversation.ask([.service(order)], for: call.channel, within: limit)
    }
    guard let reply = replies.first else { throw Self.noAnswer }
    return try Self.report(reply)
  }

  private func placed<Value>(_ body: () async throws -> Value) async throws -> Value {
    guard let place = places.take() else {
      throw AgentError(
        .serviceUnavailable, "busy", "\(limits.services) conversations with the host program go on already",
        hint: "ask again later")
    }
    defer { withExtendedLifetime(place) {} }
    return try await body()
  }

  /// The unit that the path names; only those of the list exist for clients, whatever the host has.
  private func unit(_ call: Call) throws(AgentError) -> ServiceName {
    let name = call.parameter("name")
    guard let unit = allowed.first(where: { $0.text == name }) else {
      throw AgentError(
        .notFound, "service_not_allowed",
        "\(escapedForTerminal(name, limit: 60)) is none of this agent's services",
        hint: "GET /v1/services has those that the configuration lists")
    }
    return unit
  }

  private static func timeout(_ call: Call) throws(AgentError) -> Span {
    guard call.hasQuery("timeout") else { return timeout }
    guard let text = call.query("timeout"), text.utf8.count <= 3, let seconds = Int64(text),
      (1...600).contains(seconds)
    else { throw .invalid("the timeout is no number of seconds", hint: "send timeout=1 to timeout=600") }
    return .seconds(seconds)
  }

  private static func report(_ reply: HostReply) throws(AgentError) -> ServiceReport {
    switch reply {
    case .service(let report): return report
    case .failed(let failure): throw AgentError(host: failure)
    default: throw noAnswer
    }
  }

  private static let noAnswer = AgentError(
    .badGateway, "host_garbled", "the host program answered something else than what it was asked",
    hint: "use the host program that came with the agent")

  private static let schema: JSON = [
    "type": "object", "required": ["unit", "load", "active", "sub", "as_asked", "job"],
    "properties": [
      "unit": ["type": "string"],
      "load": ["type": "string", "description": "loaded, not-found, masked, …"],
      "active": ["type": "string", "description": "active, inactive, failed, activating, …"],
      "sub": ["type": "string", "description": "running, dead, auto-restart, …"],
      "type": ["type": "string", "description": "The service's Type="],
      "main_pid": ["type": ["integer", "null"]],
      "since": ["type": ["string", "null"], "format": "date-time"],
      "age_ms": ["type": ["integer", "null"], "description": "How long it has been in this state"],
      "result": ["type": "string", "description": "Of its latest run: success, exit-code, signal, …"],
      "exit_status": ["type": "integer"], "restarts": ["type": "integer"],
      "job": [
        "type": "string",
        "description": "How systemd's job ended; running where it goes on; empty where there was none",
      ],
      "as_asked": ["type": "boolean", "description": "Whether it was seen as it was to be"],
      "last_lines": ["type": "array", "items": ["type": "string"]],
    ],
  ]
}

extension ServiceReport {
  /// As clients are told.
  var json: JSON {
    [
      "unit": .text(unit.unit), "load": .text(unit.loadState), "active": .text(unit.activeState),
      "sub": .text(unit.subState), "type": .text(type),
      "main_pid": unit.mainPID > 0 ? .number(Int64(unit.mainPID)) : .null,
      "since": since.map { .text(Date(timeIntervalSince1970: Double($0) / 1000).ISO8601Format()) } ?? .null,
      "age_ms": age.map { .number($0.milliseconds) } ?? .null, "result": .text(unit.result),
      "exit_status": .number(Int64(unit.exitStatus)), "restarts": .number(Int64(unit.restarts)),
      "job": .text(job), "as_asked": .flag(isAsAsked), "last_lines": .list(lastLines.map { .text($0) }),
    ]
  }
}
