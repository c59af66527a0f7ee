import ArgumentParser
import RolloutModel

struct AgentStopVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop",
    abstract: "Stop agents: the unit of the slot that has an agent's traffic. The next boot starts them.")
  @OptionGroup var control: AgentControlOptions

  func run() async throws { try await control.carryOut(.stop) }
}
