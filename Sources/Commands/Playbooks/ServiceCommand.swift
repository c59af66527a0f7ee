import ArgumentParser

struct ServiceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "service", abstract: "Services beside the agent.", subcommands: [])
}
