import ArgumentParser
import HostProtocol
import Inventory
import RolloutModel

struct HostsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hosts", abstract: "Look at hosts, and undo or clean up from their own state alone.",
    subcommands: [
      HostsListVerb.self, HostsCheckVerb.self, HostsRollbackVerb.self, HostsClearVerb.self,
      HostsForgetVerb.self,
    ])
}

struct HostsListVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the inventory's hosts; asks none of them.")
  @OptionGroup var options: InventoryOptions
  @OptionGroup var output: OutputOptions

  @Option(
    help: ArgumentHelp(
      "An agent file, which is held to its rules; `check` looks for the agent.", valueName: "FILE"))
  var agent: String?

  func run() async throws {
    _ = try agent.map(HostFleet.agent)
    let hosts = try await HostFleet.load(options)
    if output.isJSON {
      try Output.json(hosts)
    } else {
      for host in hosts {
        let user = host.user.map { "\($0)@" } ?? ""
        let port = host.port.map { ":\($0)" } ?? ""
        Output.line("\(host.name)  \(user)\(host.address)\(port)  \(host.groups.joined(separator: ","))")
      }
    }
  }
}

struct HostsCheckVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Ask each host whether it can be reached, and what of the agent is there."
  )
  @OptionGroup var options: InventoryOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("The agent to look for.", valueName: "FILE"))
  var agent: String?

  func run() async throws {
    let hosts = try await HostFleet.load(options)
    let definition = try agent.map(HostFleet.agent)
    let answers = try await HostFleet.ask(hosts, through: definition?.rpc) { host in
      if let definition {
        .facts(setup: AgentSetup(agent: definition, host: host.name), user: definition.user)
      } else {
        .hello(version: hostProtocolVersion)
      }
    }
    try HostFleet.report(answers, output)
  }
}

struct HostsRollbackVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollback",
    abstract: "Put hosts back on the retained release, from their own state alone: no journal, no archive.")
  @OptionGroup var options: InventoryOptions
  @OptionGroup var why: ReasonOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("The agent.", valueName: "FILE"))
  var agent: String

  @Flag(help: "Take over live leases of controllers; needs --reason.")
  var takeOver = false

  func run() async throws {
    if takeOver, why.reason.isEmpty { throw CommandError.invalid("--take-over needs --reason TEXT") }
    let hosts = try await HostFleet.load(options)
    let definition = try HostFleet.agent(agent)
    let name = definition.name
    let reason = "\(Person.name): \(why.reason.isEmpty ? "rolled back by hand" : why.reason)"
    let answers = try await HostFleet.ask(hosts, through: definition.rpc) { _ in
      .rollback(name, reason: reason, takeOver: takeOver)
    }
    try HostFleet.report(answers, output, failure: CommandError.rollbackIncomplete)
  }
}

struct HostsClearVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clear", abstract: "Lift quarantines, forget refused releases and floors.")
  @OptionGroup var options: InventoryOptions
  @OptionGroup var why: ReasonOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("The agent.", valueName: "FILE"))
  var agent: String

  func run() async throws {
    let hosts = try await HostFleet.load(options)
    let definition = try HostFleet.agent(agent)
    let name = definition.name
    let reason = "\(Person.name): \(why.reason.isEmpty ? "cleared by hand" : why.reason)"
    let answers = try await HostFleet.ask(hosts, through: definition.rpc) { _ in .clear(name, reason: reason)
    }
    try HostFleet.report(answers, output)
  }
}

struct HostsForgetVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "forget", abstract: "Remove all that is Switchyard's of an agent from hosts.")
  @OptionGroup var options: InventoryOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("The agent.", valueName: "FILE"))
  var agent: String

  @Flag(help: "Also where a slot owns traffic: the agent is then gone from the host.")
  var force = false

  func run() async throws {
    let hosts = try await HostFleet.load(options)
    let definition = try HostFleet.agent(agent)
    let name = definition.name
    let answers = try await HostFleet.ask(hosts, through: definition.rpc) { _ in .forget(name, force: force) }
    try HostFleet.report(answers, output)
  }
}
