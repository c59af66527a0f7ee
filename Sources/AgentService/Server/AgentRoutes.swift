import HTTPTypes
import RolloutModel

/// All that can be asked of the agent.
struct AgentRoutes: Sendable {
  let configuration: AgentConfiguration
  let slot: String
  let uploads: UploadRoutes
  let lifecycle: Lifecycle
  let limits: Limits
  let credentials: Credentials

  var all: [Route] {
    let health = HealthRoutes(
      version: switchyardVersion, lifecycle: lifecycle, limits: limits,
      list: { [credentials] in credentials.current.revoked?.number })
    let host = LocalSocket.host(configuration.hostSocket, connecting: limits.connecting)
    let playbooks = LocalSocket.playbooks(configuration.playbookSocket, connecting: limits.connecting)
    let relays = RelayRoutes(
      host: host, playbooks: playbooks, tunnels: configuration.tunnels, limits: limits)
    let facts = FactsRoute(facts: HostFacts(slot: slot, version: switchyardVersion), limits: limits)
    let logs = RunLogs(of: configuration, limits)
    let commands = CommandRoute(commands: configuration.commands, logs: logs, limits: limits)
    let services = ServiceRoutes(allowed: configuration.services, host: host, limits: limits)
    let routes =
      health.routes + relays.routes + [facts.route, commands.route] + services.routes
      + uploads.routes + RunRoutes(logs: logs, limits: limits).routes
    return routes + [document(of: routes)]
  }

  /// The document tells of itself, too.
  private func document(of routes: [Route]) -> Route {
    func route(_ answer: Answer) -> Route {
      Route(
        .get, "/v1/openapi.json", limit: limits.answer, .init("This document", tag: "health")
      ) { _ in answer }
    }
    let itself = route(Answer([:]))
    return route(Answer(OpenAPIDocument.make(routes + [itself], version: switchyardVersion)))
  }
}
