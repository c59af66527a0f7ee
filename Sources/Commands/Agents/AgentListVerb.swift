import Agents
import ArgumentParser
import RolloutModel

struct AgentListVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the agents that are registered; asks no host.")
  @OptionGroup var state: StateOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let state = state
    let agents = try await offThePool {
      try Registry.use(state) { registry throws(RegistryError) in try registry.agents() }
    }
    try Self.tell(agents, output)
  }

  /// One agent of `agent list --output json`; times in milliseconds since 1970.
  private struct Row: Encodable {
    var host: String
    var address: String
    var port: Int
    var slots: SlotPorts
    var token_sha256: String
    var since: Int64
    var by: String

    init(_ agent: RegisteredAgent) {
      host = agent.host
      address = agent.address
      port = agent.ports.rpc
      slots = agent.ports.slots
      token_sha256 = agent.tokenDigest.hex
      since = agent.since
      by = agent.by
    }
  }

  static func tell(_ agents: [RegisteredAgent], _ output: OutputOptions) throws {
    if output.isJSON { return try Output.json(agents.map(Row.init)) }
    guard !agents.isEmpty else { return Output.line("no agent is registered yet") }
    var table = Table(["HOST", "ADDRESS", "PORT", "SLOTS", "SINCE", "BY"])
    for agent in agents {
      table.add([
        StyledText(agent.host), StyledText(agent.address), StyledText(String(agent.ports.rpc)),
        StyledText("\(agent.ports.slots.blue) \(agent.ports.slots.green)"),
        StyledText(Words.clock(agent.since)),
        StyledText(agent.by),
      ])
    }
    Output.styled { _ in table.lines() }
  }
}
