import AgentRPC
import Agents
import Ports
import RolloutModel

/// Agents on many hosts, each on the ports that it is registered with.
struct AgentFleet: Sendable {
  /// What is at hand for asking hosts.
  struct Site: Sendable {
    let workshop: Workshop
    /// Sees certificates.
    let look: TLSLook
    /// The agent, with the ports that it has on these hosts.
    let agent: AgentDefinition

    var doors: any Doors { workshop.doors }
    var prober: any Prober { workshop.prober }
    var time: any Timekeeper { workshop.time }

    /// The doors one by one, the one that is taken first in front.
    var eachDoor: [AgentVisit.Door] {
      var doors: [AgentVisit.Door] = []
      if let rpc = workshop.rpc { doors.append(("rpc", rpc)) }
      if workshop.rpc == nil || workshop.fallsBack { doors.append(("ssh", workshop.ssh)) }
      return doors
    }

    /// Asks agents themselves, through the door that was chosen.
    var caller: any AgentCaller {
      let ssh = SSHAgentCaller(door: workshop.ssh, agent: agent)
      guard let rpc = workshop.rpc else { return ssh }
      return workshop.fallsBack ? AutoAgentCaller(rpc: rpc.caller, ssh: ssh) : rpc.caller
    }
  }

  /// The agent as its file and the options have it.
  private(set) var agent: AgentDefinition
  private let registered: [String: RegisteredAgent]

  /// Reads the agent file and the registry.
  init(_ options: AgentOptions) throws {
    agent = try options.definition()
    let agents = try Registry.use(options.authority.state) { registry throws(RegistryError) in
      try registry.agents()
    }
    registered = Dictionary(agents.map { ($0.host, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Does the same for many hosts, at most `atOnce` at a time; results in their order. Hosts whose agents listen elsewhere have
  /// their turn one port after the other.
  func each<Thing: Sendable, Row: Sendable>(
    _ things: [Thing], host: (Thing) -> Host, atOnce: Int = 100,
    _ body: @escaping @Sendable (Site, Thing) async -> Row
  ) async throws -> [Row] {
    var groups: [(ports: AgentPorts?, places: [Int])] = []
    for (place, thing) in things.enumerated() {
      let own = registered[host(thing).name]?.ports
      if let group = groups.firstIndex(where: { $0.ports == own }) {
        groups[group].places.append(place)
      } else {
        groups.append((own, [place]))
      }
    }
    var rows: [Row?] = things.map { _ in nil }
    for group in groups {
      let agent = agent(on: group.ports)
      let members = group.places.map { things[$0] }
      let answers = try await Workshop.use(through: agent.rpc) { workshop in
        let look = try TLSLook(loop: workshop.loop)
        let site = Site(workshop: workshop, look: look, agent: agent)
        let answers = await inTurn(members, atOnce: atOnce) { await body(site, $0) }
        await look.close()
        return answers
      }
      for (place, answer) in zip(group.places, answers) { rows[place] = answer }
    }
    return rows.compactMap { $0 }
  }

  /// The same for hosts themselves.
  func each<Row: Sendable>(
    _ hosts: [Host], atOnce: Int = 100, _ body: @escaping @Sendable (Site, Host) async -> Row
  ) async throws -> [Row] { try await each(hosts, host: { $0 }, atOnce: atOnce, body) }

  /// The agent with the ports that it has where it is registered.
  func agent(on ports: AgentPorts?) -> AgentDefinition {
    guard let ports else { return agent }
    var agent = agent
    agent.publicPort = ports.rpc
    agent.slots = ports.slots
    agent.rpc?.port = ports.rpc
    return agent
  }

  /// Hosts with the ports that they share, in the order of their first ones; nil for those that are not registered.
  func groups(_ hosts: [Host]) -> [(ports: AgentPorts?, hosts: [Host])] {
    var groups: [(ports: AgentPorts?, hosts: [Host])] = []
    for host in hosts {
      let own = registered[host.name]?.ports
      if let group = groups.firstIndex(where: { $0.ports == own }) {
        groups[group].hosts.append(host)
      } else {
        groups.append((own, [host]))
      }
    }
    return groups
  }

  /// The digest of the token in a file, which is that of all these hosts. Refused: hosts that are not registered, or with another
  /// one.
  func tokenDigest(of hosts: [Host], in path: String?) throws -> Digest {
    guard let path else {
      throw CommandError.invalid("--token-file is missing: the file that `switchyard agent register` made")
    }
    let token = try TokenFile.read(path)
    var problems: [String] = []
    for host in hosts {
      if let agent = registered[host.name] {
        if !token.isThat(of: agent) {
          problems.append("\(host.name): its token is another than that in \(escapedForTerminal(path))")
        }
      } else {
        problems.append("\(host.name) is not registered: see `switchyard agent register`")
      }
    }
    guard problems.isEmpty, let digest = token.digest else {
      throw CommandError.invalid(problems.joined(separator: "\n"))
    }
    return digest
  }

  /// The same hosts, asked over SSH alone.
  var overSSH: AgentFleet {
    var fleet = self
    fleet.agent.rpc = nil
    return fleet
  }
}

/// The registry in the state folder.
enum Registry {
  /// Does something with it; what fails is told with the exit code for it.
  static func use<Value>(
    _ state: StateOptions, _ body: (AgentRegistry) throws(RegistryError) -> Value
  ) throws -> Value {
    let registry = AgentRegistry(directory: try state.checked(), time: SystemTimekeeper())
    do throws(RegistryError) { return try body(registry) } catch { throw failure(error) }
  }

  static func failure(_ error: RegistryError) -> CommandError {
    switch error.kind {
    case .refused: .invalid("\(error)")
    case .damaged, .unusable: .tool("\(error)")
    }
  }
}
