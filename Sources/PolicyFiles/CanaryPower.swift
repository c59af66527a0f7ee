import Glibc
import RolloutModel

/// What a canary can tell of a release, and what it can't: a few hosts that do well exclude only releases that fail on many.
///
/// Hosts are taken to fail independently of each other, each with the same chance. Then the number of failures among n hosts is
/// binomial, and a canary that bears b of them is passed with the chance P(X ≤ b). With no failure borne that is (1 - p)^n, of
/// which the "rule of three" (p < 3/n; Hanley and Lippman-Hand, JAMA 1983) is the approximation for many hosts.
public struct CanaryPower: Hashable, Sendable {
  /// How sure an exclusion is.
  public static let confidence = 0.95

  /// Hosts of the canary.
  public var hosts: Int
  /// Failures that it bears.
  public var borne: Int

  /// The power of a plan's first wave; nil where there is none.
  public init?(_ plan: Plan) {
    guard let canary = plan.waves.first, canary.count > 0 else { return nil }
    hosts = canary.count
    borne = plan.policy.budget.canary.ofFailures(canary.count)
  }

  /// The power of so many hosts with so many failures borne.
  public init(hosts: Int, borne: Int) {
    self.hosts = hosts
    self.borne = borne
  }

  /// Releases that fail on a larger share of hosts than this have been excluded, with ``confidence``, once the canary has
  /// passed; nil where it bears so much that it excludes none.
  public var excludedAbove: Double? { rate(whereItPasses: 1 - Self.confidence) }

  /// A release that fails on this share of hosts passes the canary every second time; nil where all pass.
  public var evenChance: Double? { rate(whereItPasses: 0.5) }

  /// The chance that a release which fails on a share of hosts passes.
  public func chanceToPass(failing rate: Double) -> Double {
    guard borne < hosts, rate > 0 else { return 1 }
    guard rate < 1, borne >= 0 else { return 0 }
    // By logarithms, so that large fleets don't underflow before the sum has begun.
    var term = Double(hosts) * log1p(-rate)
    let odds = log(rate) - log1p(-rate)
    var sum = exp(term)
    for failed in 0..<borne {
      term += log(Double(hosts - failed)) - log(Double(failed + 1)) + odds
      sum += exp(term)
    }
    return min(sum, 1)
  }

  /// By halves: the chance to pass falls as the rate grows.
  private func rate(whereItPasses chance: Double) -> Double? {
    guard borne < hosts else { return nil }
    var low = 0.0
    var high = 1.0
    for _ in 0..<60 {
      let middle = (low + high) / 2
      if chanceToPass(failing: middle) > chance { low = middle } else { high = middle }
    }
    return high
  }
}
