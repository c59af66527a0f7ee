import RolloutModel

/// Asks the agent of a host for what it does itself, beside carrying a conversation with the host program.
public protocol AgentCaller: Sendable {
  /// Runs a command of the agent's own list. `tell` hears what it says, as it says it; how it ended is returned. The time counts
  /// for all of it.
  func run(
    _ command: AgentCommandCall, on host: Host, within: Duration,
    tell: @escaping @Sendable (AgentCommandOutput) async -> Void
  ) async throws(DoorError) -> AgentCommandEnd

  /// Brings a file of this machine, or what the agent lacks of it. The time counts anew with every piece that goes out.
  func upload(
    _ file: AgentUpload, to host: Host, progressWithin: Duration
  ) async throws(DoorError) -> AgentUploadEnd

  /// The door that was taken to a host, and why, for people.
  func way(to host: Host) async -> String
}

/// A command that an agent is asked for: one of those its configuration lists, and values for its places.
public struct AgentCommandCall: Hashable, Sendable, Encodable {
  /// The command's name.
  public var name: String
  /// The values, by name.
  public var arguments: [String: String]

  /// A call from its parts.
  public init(name: String, arguments: [String: String]) {
    self.name = name
    self.arguments = arguments
  }
}

/// A piece of what a command says. It comes from the host: it is to be escaped.
public enum AgentCommandOutput: Hashable, Sendable {
  /// Text of its output.
  case output(String)
  /// Text of its error output.
  case errors(String)
  /// From here on something was left out.
  case truncated
}

/// How a command ended.
public enum AgentCommandEnd: Hashable, Sendable {
  /// With this status.
  case exit(Int)
  /// By this signal.
  case signal(String)
  /// It was killed when its time was over.
  case timeout
  /// The agent did not run it, or not to its end: what it says of that. It comes from the host: it is to be escaped.
  case refused(code: String, message: String, hint: String)
}

/// A file that agents are to have.
public struct AgentUpload: Hashable, Sendable {
  /// Where it is on this machine.
  public var path: String
  /// Its SHA-256, which is its name on hosts.
  public var digest: Digest
  /// Its bytes.
  public var size: Int64

  /// A file from its parts.
  public init(path: String, digest: Digest, size: Int64) {
    self.path = path
    self.digest = digest
    self.size = size
  }
}

/// How the bringing of a file ended.
public enum AgentUploadEnd: Hashable, Sendable {
  /// The host has it, checked against its digest; so many bytes had to be sent.
  case here(sent: Int64)
  /// The agent does not take it: what it says of that. It comes from the host: it is to be escaped.
  case refused(code: String, message: String, hint: String)
}
