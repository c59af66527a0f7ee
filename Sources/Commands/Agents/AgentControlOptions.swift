import Agents
import ArgumentParser
import RolloutModel

/// What `start`, `stop` and `restart` share.
struct AgentControlOptions: ParsableArguments {
  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var options: AgentOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("How long an agent may take.", valueName: "D"))
  var within = "90s"

  func carryOut(_ action: ServiceAction) async throws {
    let span = Span(milliseconds: try CertText.span(within, of: "--within"))
    let fleet = try AgentFleet(options)
    let hosts = try await HostFleet.load(inventory)
    let results = try await fleet.each(hosts) { site, host in
      await AgentControl(
        doors: site.doors, look: site.look, time: site.time, definition: site.agent, within: span
      ).carryOut(action, on: host)
    }
    try AgentReport.tell(
      results.map {
        AgentRow(
          host: $0.host, ok: $0.ok, door: $0.way ?? "SSH", text: $0.text, unit: $0.unit?.unit,
          state: $0.unit?.activeState)
      }, output)
  }
}
