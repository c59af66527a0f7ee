import FoundationEssentials
import Glibc
import Ports
import RolloutModel

/// Which hosts have, or are to have, an agent of Switchyard's own, and where it listens: one file in the state folder, replaced
/// whole under a lock. Of a token there is only its digest in it.
///
/// Everything blocks for a few operations on files, and for another process that is changing the same registry.
public struct AgentRegistry: Sendable {
  private let directory: String
  private let time: any Timekeeper

  private static let name = "agents.json"
  private static let format = 1
  private static let limit = 64 << 20
  private static let lockWithin = Span.seconds(20)

  /// The registry in a state folder, which need not be there.
  public init(directory: String, time: any Timekeeper) {
    self.directory = directory
    self.time = time
  }

  /// The registry's file.
  private struct Contents: Codable {
    var format = AgentRegistry.format
    var agents: [RegisteredAgent] = []
  }

  /// All agents, in the order of their hosts' names.
  public func agents() throws(RegistryError) -> [RegisteredAgent] {
    guard let folder = try RegistryFolder.open(directory, makes: false) else { return [] }
    return try contents(in: folder).agents
  }

  /// Enters hosts, all or none, with the digest of the token that their agents are to ask for, and ports: `wanted` where they are
  /// free on a host's address, else the next that are. `keep` makes the token durable before the registry is.
  public func register(
    _ hosts: [Host], token: AgentToken, wanted: AgentPorts, by person: String, keep: () throws -> Void
  ) throws -> [RegisteredAgent] {
    guard let digest = token.digest else { throw RegistryError.unusable(Self.name, "has no digests", EIO) }
    return try change { contents in
      var added: [RegisteredAgent] = []
      for host in hosts {
        guard !contents.agents.contains(where: { $0.host == host.name }) else {
          throw RegistryError(
            .refused, "\(host.name) is registered already",
            hint:
              "leave it out with --limit, or take its agent away with `switchyard agent uninstall` (`--gone` where the host is no more)"
          )
        }
        let neighbours = contents.agents.filter { $0.address == host.address }.map(\.ports)
        guard let ports = wanted.free(beside: neighbours) else {
          throw RegistryError(
            .refused, "\(host.name) has no three ports in a row left for an agent at or above \(wanted.rpc)",
            hint: "name a lower one with --port")
        }
        let agent = RegisteredAgent(
          host: host.name, address: host.address, ports: ports, tokenDigest: digest, since: time.wall,
          by: person)
        contents.agents.append(agent)
        added.append(agent)
      }
      contents.agents.sort { $0.host < $1.host }
      try keep()
      return added
    }
  }

  /// Takes hosts out; those that are not in it are none the worse. Returns the ones that were.
  public func remove(_ hosts: [String]) throws -> [RegisteredAgent] {
    try change { contents in
      let gone = contents.agents.filter { hosts.contains($0.host) }
      contents.agents.removeAll { hosts.contains($0.host) }
      return gone
    }
  }

  private func change<Value>(_ body: (inout Contents) throws -> Value) throws -> Value {
    guard let folder = try RegistryFolder.open(directory, makes: true) else {
      throw RegistryError.unusable(directory, "went away while it was opened", ENOENT)
    }
    try folder.lock("agents.lock", within: Self.lockWithin)
    var contents = try contents(in: folder)
    let value = try body(&contents)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try folder.replace(Self.name, with: Array(try encoder.encode(contents)) + [UInt8(ascii: "\n")])
    return value
  }

  private func contents(in folder: RegistryFolder) throws(RegistryError) -> Contents {
    guard let bytes = try folder.read(Self.name, atMost: Self.limit) else { return Contents() }
    let contents: Contents
    do { contents = try JSONDecoder().decode(Contents.self, from: Data(bytes)) } catch {
      throw RegistryError(
        .damaged,
        "\(escapedForTerminal(directory))/\(Self.name) can't be read: \(escapedForTerminal("\(error)", limit: 200))",
        hint: "restore it from a backup, or move it away and register the agents anew")
    }
    guard contents.format == Self.format else {
      throw RegistryError(
        .damaged,
        "\(escapedForTerminal(directory))/\(Self.name) has format \(contents.format), this program knows \(Self.format)",
        hint: "use the program that wrote it, or a later one")
    }
    return contents
  }
}
