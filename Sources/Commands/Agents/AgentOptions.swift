import ArgumentParser
import Certificates
import FoundationEssentials
import Inventory
import MarkedYAML
import PolicyFiles
import RolloutModel

/// The door that a person asks for.
enum DoorWord: String, ExpressibleByArgument {
  case ssh, rpc, auto
}

/// Which agent, and the way to it; shared by all verbs that ask hosts of Switchyard's own agent.
struct AgentOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The agent file; default the one that ships with Switchyard.", valueName: "FILE"))
  var agent: String?

  @Option(
    help: ArgumentHelp(
      "The way to hosts: ssh, rpc (through their agents), or auto; default as the agent file says.",
      valueName: "DOOR"))
  var door: DoorWord?

  @Option(
    help: ArgumentHelp(
      "The controller whose certificate of the authority is shown to agents; default as the agent file says.",
      valueName: "NAME"))
  var controller: String?

  @Option(
    help: ArgumentHelp(
      "The file of the token that agents ask for; default as the agent file says.", valueName: "FILE"))
  var tokenFile: String?

  @OptionGroup var authority: AuthorityOptions

  /// What the files say, with what the options say in its place.
  func definition() throws -> AgentDefinition {
    var definition = try agent.map(HostFleet.agent) ?? ShippedAgent.definition()
    definition.rpc = try choice(of: definition)
    return definition
  }

  private func choice(of definition: AgentDefinition) throws -> RPCDoorChoice? {
    let name = try controller.map { text in
      guard let name = CertificateName(text) else {
        throw CommandError.invalid(
          "--controller \(escapedForTerminal(text)): not a certificate's name; `switchyard cert list` shows them"
        )
      }
      return name
    }
    guard door != .ssh else { return nil }
    var choice = definition.rpc
    if let name {
      let folder = "\(try authority.directory())/issued/\(name)"
      guard FileManager.default.fileExists(atPath: "\(folder)/\(name).pem") else {
        throw CommandError.invalid(
          "--controller \(name): there is no \(escapedForTerminal(folder))/\(name).pem; `switchyard cert list` shows who has a certificate, `switchyard cert issue` makes one"
        )
      }
      choice = RPCDoorChoice(
        fallsBack: true, port: definition.rpc?.port ?? definition.publicPort, authority: "\(folder)/ca.pem",
        certificate: "\(folder)/\(name).pem", key: "\(folder)/\(name).key")
    }
    if let tokenFile {
      guard FileManager.default.fileExists(atPath: tokenFile) else {
        throw CommandError.invalid(
          "--token-file \(escapedForTerminal(tokenFile)): there is no such file; name the one that `agent register` wrote"
        )
      }
      choice?.token = tokenFile
    }
    guard let door else { return choice }
    guard choice != nil else {
      throw CommandError.invalid(
        "--door \(door.rawValue): nothing says whose certificate agents are shown; name one with --controller, or write door: and rpc: in the agent file"
      )
    }
    choice?.fallsBack = door == .auto
    return choice
  }
}
