import HTTPTypes
import NIOCore
import RolloutModel

/// The ways through the agent: to the host program, to its playbook runner, and to local ports.
struct RelayRoutes: Sendable {
  let host: HostSocket
  let playbooks: HostSocket
  let tunnels: [Int]
  let limits: Limits

  var routes: [Route] {
    [
      // The time for connecting bounds both.
      Route(
        .post, "/v1/host", limit: nil,
        .init(
          "Bytes both ways between the request and the host program", tag: "relay", sends: .bytes,
          receives: .bytes,
          failures: [503])
      ) { call in relay(try await host.connect(for: call.channel), call) },
      Route(
        .post, "/v1/playbooks", limit: nil,
        .init(
          "Bytes both ways between the request and a run of a playbook, which ends with either", tag: "relay",
          sends: .bytes, receives: .bytes, failures: [503])
      ) { call in relay(try await playbooks.connect(for: call.channel), call) },
      Route(
        .post, "/v1/tunnel", limit: nil,
        .init(
          "Bytes both ways between the request and a port of 127.0.0.1", tag: "relay", sends: .bytes,
          receives: .bytes, parameters: [Self.port], failures: [400, 502, 504]), answer: tunnel),
    ]
  }

  private static let port = Documentation.Parameter(
    "port", .query, "A port that the agent's configuration lists in tunnels",
    schema: ["type": "integer", "minimum": 1, "maximum": 65_535])

  @Sendable private func tunnel(_ call: Call) async throws -> Answer {
    guard let text = call.query("port"), let port = Int(text), (1...65_535).contains(port) else {
      throw AgentError.invalid("the query names no port", hint: "ask for /v1/tunnel?port=N")
    }
    guard tunnels.contains(port) else {
      throw AgentError.forbidden(
        "port \(port) is none of this agent's tunnels", hint: "add it to tunnels in the agent's configuration"
      )
    }
    do {
      let address = try SocketAddress(ipAddress: "127.0.0.1", port: port)
      let far = try await Dial.connect(to: address, for: call.channel, within: limits.connecting)
      return relay(far, call)
    } catch  where Dial.isRefusal(error) {
      throw AgentError(
        .badGateway, "refused", "nothing listens on 127.0.0.1:\(port)", hint: "start what should listen there"
      )
    } catch {
      throw AgentError(
        .gatewayTimeout, "unreachable",
        "127.0.0.1:\(port) can't be reached: \(escapedForTerminal(Dial.reason(error)))",
        hint: "look at what should listen there")
    }
  }

  private func relay(_ far: NIOAsyncChannel<ByteBuffer, ByteBuffer>, _ call: Call) -> Answer {
    let relay = Relay(
      far: far, near: call.channel, body: call.body, idle: limits.relayIdle, patience: limits.leftoverTime,
      log: call.named)
    return Answer(
      type: "application/octet-stream",
      Answer.Stream(limit: nil, write: { try await relay.run(&$0) }, abandon: { relay.abandon() }))
  }
}
