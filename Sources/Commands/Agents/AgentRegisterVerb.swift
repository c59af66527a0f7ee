import Agents
import ArgumentParser
import RolloutModel

struct AgentRegisterVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "register",
    abstract:
      "Enter hosts that are to have an agent: each gets ports, and all of them the token that they will ask for.",
    discussion:
      "The registry keeps the token's digest alone. The token is in the token file, which `rpc:` of an agent file names."
  )
  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var state: StateOptions
  @OptionGroup var output: OutputOptions

  @Option(
    help: ArgumentHelp("Where the token goes: a new file, which nobody else may read.", valueName: "FILE"))
  var tokenFile: String

  @Flag(help: "The token file is there, and holds the token of agents that were registered before.")
  var sameToken = false

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
    let isKept = sameToken
    let added = try await offThePool {
      let token = isKept ? try TokenFile.read(path) : AgentToken()
      let registry = AgentRegistry(directory: directory, time: SystemTimekeeper())
      do {
        return try registry.register(hosts, token: token, wanted: wanted, by: person) {
          if !isKept { try TokenFile.write(token, to: path) }
        }
      } catch let error as RegistryError { throw Registry.failure(error) }
    }
    try AgentListVerb.tell(added, output)
  }
}
