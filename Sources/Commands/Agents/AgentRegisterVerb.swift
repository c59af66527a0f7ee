import Agents
import ArgumentParser
import RolloutModel

struct AgentRegisterVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "register",
    abstract: "Enter hosts that are to have an agent: each gets a token and ports of its own.",
    discussion:
      "The registry keeps a token's digest alone. The tokens are in the new token file, one line for each host."
  )
  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var state: StateOptions
  @OptionGroup var output: OutputOptions

  @Option(
    help: ArgumentHelp("Where the tokens go: a new file, which nobody else may read.", valueName: "FILE"))
  var tokenFile: String

  @Option(
    help: ArgumentHelp(
      "The first of the three ports that an agent has; where it is taken on a host, the next three that are free.",
      valueName: "N"))
  var port = 7440

  func run() async throws {
    guard let wanted = AgentPorts(rpc: port) else {
      throw CommandError.invalid("--port \(port): no port of an agent; name one from 1 to 65533")
    }
    let hosts = try await HostFleet.load(inventory)
    let (directory, person, path) = (try state.checked(), Person.name, tokenFile)
    let added = try await offThePool {
      let registry = AgentRegistry(directory: directory, time: SystemTimekeeper())
      do {
        return try registry.register(hosts, wanted: wanted, by: person) { tokens in
          try TokenFile.write(tokens, to: path)
        }
      } catch let error as RegistryError { throw Registry.failure(error) }
    }
    try AgentListVerb.tell(added, output)
  }
}
