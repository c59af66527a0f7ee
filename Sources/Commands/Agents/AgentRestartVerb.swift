import ArgumentParser
import RolloutModel

struct AgentRestartVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart",
    abstract: "Stop and start agents: the unit of the slot that has an agent's traffic.")
  @OptionGroup var control: AgentControlOptions

  func run() async throws { try await control.carryOut(.restart) }
}
