/// A rollout before it starts: everything is frozen, so that files may change while it runs.
public struct Plan: Hashable, Sendable, Codable {
  /// The rollout's ID: letters, digits, dots and dashes; unique in a journal.
  public var id: String
  /// What is upgraded.
  public var agent: AgentDefinition
  /// The rules.
  public var policy: Policy
  /// To what.
  public var release: Release
  /// The fleet, in the order of the waves: a host is named by its place here.
  public var hosts: [Host]
  /// The waves; their ranges follow one another.
  public var waves: [PlannedWave]
  /// Whether probes of the public port through the host's own loopback are accepted where it can't be probed from outside.
  public var acceptLocalProbes: Bool
  /// Whether a release that was rolled back on a host before is tried there again, and why; nil where not.
  public var again: String?
  /// Whether live leases of other controllers are taken over, and why; nil where not.
  public var takeOver: String?
  /// The person and machine that planned it.
  public var owner: String

  /// A plan from its parts.
  public init(
    id: String, agent: AgentDefinition, policy: Policy, release: Release, hosts: [Host], waves: [PlannedWave],
    acceptLocalProbes: Bool, again: String?, takeOver: String?, owner: String
  ) {
    self.id = id
    self.agent = agent
    self.policy = policy
    self.release = release
    self.hosts = hosts
    self.waves = waves
    self.acceptLocalProbes = acceptLocalProbes
    self.again = again
    self.takeOver = takeOver
    self.owner = owner
  }
}

/// One wave with its hosts.
public struct PlannedWave: Hashable, Sendable, Codable {
  /// The wave's name.
  public var name: String
  /// The place of its first host.
  public var first: Int
  /// How many hosts it has.
  public var count: Int
  /// Most hosts in flight at once.
  public var batch: Int
  /// How long a flipped host is watched.
  public var soak: Span
  /// Whether a person must approve before it starts.
  public var approve: Bool

  /// A wave from its parts.
  public init(name: String, first: Int, count: Int, batch: Int, soak: Span, approve: Bool) {
    self.name = name
    self.first = first
    self.count = count
    self.batch = batch
    self.soak = soak
    self.approve = approve
  }

  /// The places of its hosts.
  public var range: Range<Int> { first..<(first + count) }

  /// The waves of a policy that a plan has not, as they add no host in its fleet.
  public static func leftOut(of policy: Policy, in waves: [PlannedWave]) -> [WaveDefinition] {
    policy.waves.filter { wave in !waves.contains { $0.name == wave.name } }
  }

  /// Cuts a fleet of `total` hosts into the policy's waves. A wave that adds no host is left out.
  public static func waves(of policy: Policy, total: Int) -> [PlannedWave] {
    var waves: [PlannedWave] = []
    var done = 0
    for wave in policy.waves {
      let count = wave.hosts.ofHosts(total) - done
      guard count > 0 else { continue }
      waves.append(
        PlannedWave(
          name: wave.name, first: done, count: count, batch: max(1, wave.batch.ofHosts(count)),
          soak: wave.soak,
          approve: wave.approve))
      done += count
    }
    return waves
  }
}
