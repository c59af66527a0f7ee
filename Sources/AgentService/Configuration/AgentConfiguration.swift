import RolloutModel

/// What the agent's configuration file says.
public struct AgentConfiguration: Hashable, Sendable {
  /// The address that it listens on.
  public var listen: String
  /// The file of its own certificate, with the chain.
  public var certificate: String
  /// The file of that certificate's key.
  public var key: String
  /// The file of the authority that clients' certificates come from.
  public var authority: String
  /// The file of that authority's revocation list; nil where none is kept.
  public var revoked: String?
  /// The clients that are let in, by common name or DNS name; nil for every client of the authority.
  public var controllers: [String]?
  /// The Unix socket of the host program.
  public var hostSocket: String
  /// The Unix socket behind which playbooks run.
  public var playbookSocket = "/run/switchyard/playbook.sock"
  /// The local ports that clients may be connected to.
  public var tunnels: [Int]
  /// How long running requests may go on once the agent is asked to end.
  public var drain: Span
  /// The folder that the agent keeps its own files in.
  public var state: String
  /// The most bytes of one file that is brought.
  public var uploadLimit: Int64
  /// The most bytes of all files that were brought, together.
  public var uploadTotal: Int64
  /// The SHA-256 of the token that each request must carry beside the client certificate; nil where none is asked for.
  public var tokenHash: Digest?
  /// The services of the host that clients may look at, start and stop.
  public var services: [ServiceName]
  /// What clients may run, by name.
  public var commands: [String: AgentCommand]

  /// A configuration from its parts.
  public init(
    listen: String, certificate: String, key: String, authority: String, revoked: String?,
    controllers: [String]?, hostSocket: String, tunnels: [Int], drain: Span,
    state: String, uploadLimit: Int64, uploadTotal: Int64, tokenHash: Digest?, services: [ServiceName],
    commands: [String: AgentCommand]
  ) {
    self.listen = listen
    self.certificate = certificate
    self.key = key
    self.authority = authority
    self.revoked = revoked
    self.controllers = controllers
    self.hostSocket = hostSocket
    self.tunnels = tunnels
    self.drain = drain
    self.state = state
    self.uploadLimit = uploadLimit
    self.uploadTotal = uploadTotal
    self.tokenHash = tokenHash
    self.services = services
    self.commands = commands
  }

  /// Where the file is looked for.
  public static let defaultPath = "/etc/switchyard-agent/agent.yml"
}

/// One program that clients may run: an argument array with places for values, each held to a pattern.
public struct AgentCommand: Hashable, Sendable {
  /// The program's path and its arguments, in which `{{ name }}` stands for a value.
  public var run: [String]
  /// The pattern that a whole value must match, by name.
  public var arguments: [String: String]
  /// How long it may run.
  public var timeout: Span

  /// A command from its parts.
  public init(run: [String], arguments: [String: String], timeout: Span) {
    self.run = run
    self.arguments = arguments
    self.timeout = timeout
  }
}
