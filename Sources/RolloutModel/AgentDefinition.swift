/// What an agent file says: what is upgraded, and how it runs on a host.
public struct AgentDefinition: Hashable, Sendable, Codable {
  /// The agent's name.
  public var name: AgentName
  /// The user that the units run as; it must exist on the host.
  public var user: String
  /// Leading folders of the archive to drop.
  public var strip: Int
  /// The program's path inside the release; empty for a container, which runs its image's own.
  public var exec: String
  /// Its arguments, placeholders not yet filled in.
  public var args: [String]
  /// Environment of both slots, sorted by name, placeholders not yet filled in.
  public var environment: [EnvironmentVariable]
  /// The slots' own ports.
  public var slots: SlotPorts
  /// Where clients connect.
  public var publicPort: Int
  /// How new connections are sent to a slot.
  public var traffic: TrafficDriver
  /// How long existing connections may stay on the side that lost traffic before it may be stopped.
  public var drain: Span
  /// Whether old and new can run at once.
  public var concurrent: Bool
  /// The text of the unit to render per slot; nil for the default one.
  public var unitTemplate: String?
  /// The most bytes of such a text. A unit file has some thousands.
  public static let longestUnit = 64 * 1024
  /// An agent installed by other means that is the first live side.
  public var adopt: Adoption?
  /// The default gate's probes; never empty.
  public var health: [ProbeDefinition]
  /// What must hold on a host before anything is changed.
  public var dependencies: [Dependency]
  /// The way to hosts through their agents; nil where it is always SSH.
  public var rpc: RPCDoorChoice?
  /// How it runs as a container; nil where systemd runs its program.
  public var container: ContainerDefinition?
  /// The lowest version that may be brought to a host; nil where any may.
  public var floor: Version?
  /// A playbook that prepares each host before anything of the agent is changed there.
  public var prepare: PlannedPlaybook?

  /// A definition from its parts.
  public init(
    name: AgentName, user: String, strip: Int, exec: String, args: [String],
    environment: [EnvironmentVariable],
    slots: SlotPorts, publicPort: Int, traffic: TrafficDriver, drain: Span, concurrent: Bool,
    unitTemplate: String?, adopt: Adoption?, health: [ProbeDefinition], dependencies: [Dependency],
    rpc: RPCDoorChoice? = nil, container: ContainerDefinition? = nil, floor: Version? = nil
  ) {
    self.name = name
    self.user = user
    self.strip = strip
    self.exec = exec
    self.args = args
    self.environment = environment
    self.slots = slots
    self.publicPort = publicPort
    self.traffic = traffic
    self.drain = drain
    self.concurrent = concurrent
    self.unitTemplate = unitTemplate
    self.adopt = adopt
    self.health = health
    self.dependencies = dependencies
    self.rpc = rpc
    self.container = container
    self.floor = floor
  }
}

/// The way to hosts through an agent that runs there.
public struct RPCDoorChoice: Hashable, Sendable, Codable {
  /// Whether SSH is taken where no trusted agent answers.
  public var fallsBack: Bool
  /// The agents' port.
  public var port: Int
  /// The path of a PEM file: the authority of the agents' certificates.
  public var authority: String
  /// The path of a PEM file: the controller's certificate.
  public var certificate: String
  /// The path of a PEM file: its key, which is read when it is needed and never stored.
  public var key: String
  /// The path of a file that holds the agents' token, which is read when it is needed and never stored; nil where they ask for none.
  public var token: String?

  /// A choice from its parts.
  public init(
    fallsBack: Bool, port: Int, authority: String, certificate: String, key: String, token: String? = nil
  ) {
    self.fallsBack = fallsBack
    self.port = port
    self.authority = authority
    self.certificate = certificate
    self.key = key
    self.token = token
  }
}

/// One variable of a unit's environment.
public struct EnvironmentVariable: Hashable, Sendable, Codable {
  /// `[A-Za-z_][A-Za-z0-9_]*`; never `PORT`, which is always the slot's port.
  public var name: String
  /// The value, placeholders not yet filled in.
  public var value: String

  /// A variable from its parts.
  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// The alternate RPC ports.
public struct SlotPorts: Hashable, Sendable, Codable {
  /// The blue slot's port.
  public var blue: Int
  /// The green slot's port.
  public var green: Int

  /// Ports from their numbers.
  public init(blue: Int, green: Int) {
    self.blue = blue
    self.green = green
  }

  /// The port of a slot.
  public subscript(slot: Slot) -> Int { slot == .blue ? blue : green }
}

/// How new connections to the public port are sent to a slot.
public enum TrafficDriver: Hashable, Sendable, Codable {
  /// Address translation in a table of our own, one transaction a flip.
  case nftables
  /// Nothing is moved: clients find the slot by other means.
  case none
  /// A program of the user's own: called with `to SIDE PORT` it moves traffic, with `owner` it prints the side.
  case command(argv: [String])

  /// The word in the agent file.
  public var word: String {
    switch self {
    case .nftables: "nftables"
    case .none: "none"
    case .command: "command"
    }
  }
}

/// An agent installed by other means: its unit, and the port on which it listens itself.
public struct Adoption: Hashable, Sendable, Codable {
  /// The unit's name, with `.service`.
  public var unit: String
  /// The port on which it listens.
  public var port: Int

  /// An adoption from its parts.
  public init(unit: String, port: Int) {
    self.unit = unit
    self.port = port
  }
}
