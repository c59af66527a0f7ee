import ArgumentParser
import RolloutModel

struct AgentStartVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "start", abstract: "Start agents: the unit of the slot that has an agent's traffic.")
  @OptionGroup var control: AgentControlOptions

  func run() async throws { try await control.carryOut(.start) }
}
