import RolloutModel

/// One agent of the registry.
public struct RegisteredAgent: Hashable, Sendable, Codable {
  /// The inventory's name of its host.
  public var host: String
  /// Where the host is.
  public var address: String
  /// Where the agent listens.
  public var ports: AgentPorts
  /// The SHA-256 of its token.
  public var tokenDigest: Digest
  /// When it was registered, in milliseconds since 1970.
  public var since: Int64
  /// Who registered it.
  public var by: String
}

/// The ports of an agent of Switchyard's own, three in a row: this is the one place where they are made.
public struct AgentPorts: Hashable, Sendable, Codable {
  /// Where controllers connect.
  public let rpc: Int

  /// Ports from the first one on; nil where there is no room for three.
  public init?(rpc: Int) {
    guard (1...65_533).contains(rpc) else { return nil }
    self.rpc = rpc
  }

  /// Refuses what are no ports.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let ports = AgentPorts(rpc: try container.decode(Int.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "no port of an agent")
    }
    self = ports
  }

  /// Encodes the first one alone.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rpc)
  }

  /// Where the slots listen themselves.
  public var slots: SlotPorts { SlotPorts(blue: rpc + 1, green: rpc + 2) }

  /// These, or the next ones up that touch none of the others; nil where the numbers end before.
  func free(beside others: [AgentPorts]) -> AgentPorts? {
    var ports: AgentPorts? = self
    while let tried = ports {
      guard let taken = others.filter({ abs($0.rpc - tried.rpc) < 3 }).map(\.rpc).max() else { return tried }
      ports = AgentPorts(rpc: taken + 3)
    }
    return nil
  }
}
