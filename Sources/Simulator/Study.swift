import RolloutModel

/// Many simulated rollouts of one policy, to see beforehand what it would bear.
public struct Study: Sendable {
  /// What the release is on the hosts that it is bad on.
  public enum Illness: String, CaseIterable, Sendable {
    case neverHealthy = "never-healthy"
    case exits
    case hangs
    case wrongVersion = "wrong-version"
    case crashes
    case sickens

    /// Crashes and sickness come half a minute after the start.
    var behaviour: Behaviour {
      switch self {
      case .neverHealthy: .neverHealthy
      case .exits: .exits
      case .hangs: .hangs
      case .wrongVersion: .wrongVersion
      case .crashes: .crashes(30_000)
      case .sickens: .sickens(30_000)
      }
    }
  }

  /// The policy.
  public var policy: Policy
  /// The hosts' names, in the order of the walk.
  public var hosts: [String]
  /// What the release suffers from, and on how many hosts of a thousand.
  public var illness: (kind: Illness, permille: Int)?
  /// What else goes wrong, all the time.
  public var faults: Faults

  /// A study from its parts.
  public init(policy: Policy, hosts: [String], illness: (kind: Illness, permille: Int)?, faults: Faults) {
    self.policy = policy
    self.hosts = hosts
    self.illness = illness
    self.faults = faults
  }

  /// How a number came out over all seeds.
  public struct Spread: Hashable, Sendable, Codable {
    /// The least.
    public var least: Double
    /// The one in the middle.
    public var median: Double
    /// The one that 95 of a hundred don't exceed.
    public var p95: Double
    /// The most.
    public var most: Double

    /// Nil where there are none.
    init?(_ values: [Double]) {
      let sorted = values.sorted()
      guard let first = sorted.first, let last = sorted.last else { return nil }
      least = first
      most = last
      median = sorted[sorted.count / 2]
      p95 = sorted[min(sorted.count - 1, sorted.count * 95 / 100)]
    }
  }

  /// What came of all seeds.
  public struct Result: Hashable, Sendable, Codable {
    /// How many.
    public var seeds = 0
    /// How often rollouts ended in each state.
    public var ends: [String: Int] = [:]
    /// Hosts whose clients got the new version before the rollout ended.
    public var exposed: Spread?
    /// Seconds from the first client of a bad host to its first failure seen; none where no client met one.
    public var detect: Spread?
    /// Seconds from start to end.
    public var finish: Spread?
    /// Rollouts that were rolled back or halted although the release was good on every host.
    public var falseStops = 0
    /// Seeds on which Switchyard itself broke a promise.
    public var broken: [UInt64] = []
  }

  /// Runs the seeds from 1 on.
  public func run(seeds: Int) throws -> Result {
    var result = Result()
    var (exposed, detect, finish): ([Double], [Double], [Double]) = ([], [], [])
    for seed in 0..<max(seeds, 0) {
      let report = try Simulation.run(seed: UInt64(seed + 1), of: self)
      result.seeds += 1
      result.ends[report.state.rawValue, default: 0] += 1
      exposed.append(Double(report.exposed))
      if let seconds = report.detectedAfter { detect.append(Double(seconds) / 1000) }
      finish.append(Double(report.length) / 1000)
      if illness == nil, report.state != .promoted, report.state != .promotedWithExceptions {
        result.falseStops += 1
      }
      if !report.breaches.isEmpty { result.broken.append(report.seed) }
    }
    result.exposed = Spread(exposed)
    result.detect = Spread(detect)
    result.finish = Spread(finish)
    return result
  }
}
