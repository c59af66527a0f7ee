/// A count of hosts, or a share of them.
public enum Amount: Hashable, Sendable, Codable, CustomStringConvertible {
  /// This many.
  case count(Int)
  /// Hundredths of a percent: 2 % is 200, 0.5 % is 50.
  case share(basisPoints: Int)

  /// Of `total` hosts: shares round up and are never 0 where there is a host; never more than `total`.
  public func ofHosts(_ total: Int) -> Int {
    switch self {
    case .count(let count): min(max(count, 0), total)
    case .share(let points):
      min(total, max(total > 0 && points > 0 ? 1 : 0, (total * points + 9999) / 10_000))
    }
  }

  /// Of `total` hosts as failures borne: shares round down.
  public func ofFailures(_ total: Int) -> Int {
    switch self {
    case .count(let count): max(count, 0)
    case .share(let points): total * points / 10_000
    }
  }

  /// As a file writes it.
  public var description: String {
    switch self {
    case .count(let count): "\(count)"
    case .share(let points):
      points % 100 == 0
        ? "\(points / 100)%" : "\(points / 100).\(points % 100 < 10 ? "0" : "")\(points % 100)%"
    }
  }
}

/// The rules of a rollout.
public struct Policy: Hashable, Sendable, Codable {
  /// The policy's name.
  public var name: String
  /// In order; never empty.
  public var waves: [WaveDefinition]
  /// The gate before a flip and behind it.
  public var gate: Gate
  /// Failures borne.
  public var budget: Budget
  /// What a breached budget does.
  public var onBreach: BreachAction
  /// The host reverts by itself after this, unconfirmed.
  public var confirmWithin: Span
  /// How long the old slot is kept, counted from the rollout's end.
  public var keepOld: Retention
  /// Whether the last wave may stop short of the fleet.
  public var partial: Bool
  /// The most samples in a row that may be unhealthy in the soak; more is a breach.
  public var soakTolerance: Int
  /// Playbooks around each wave; nil for none.
  public var hooks: WaveHooks?
  /// The playbook that prepares each host, in place of the agent file's; nil for that one.
  public var prepare: PlannedPlaybook?

  /// A policy from its parts.
  public init(
    name: String, waves: [WaveDefinition], gate: Gate, budget: Budget, onBreach: BreachAction,
    confirmWithin: Span, keepOld: Retention, partial: Bool, soakTolerance: Int,
    hooks: WaveHooks? = nil
  ) {
    self.name = name
    self.waves = waves
    self.gate = gate
    self.budget = budget
    self.onBreach = onBreach
    self.confirmWithin = confirmWithin
    self.keepOld = keepOld
    self.partial = partial
    self.soakTolerance = soakTolerance
    self.hooks = hooks
  }
}

/// One wave as the policy writes it.
public struct WaveDefinition: Hashable, Sendable, Codable {
  /// The wave's name, unique in the policy.
  public var name: String
  /// How far the rollout has come when the wave is done.
  public var hosts: Amount
  /// Most hosts in flight at once, of the wave.
  public var batch: Amount
  /// How long a flipped host is watched before it is promoted.
  public var soak: Span
  /// Whether a person must approve before the wave starts.
  public var approve: Bool

  /// A wave from its parts.
  public init(name: String, hosts: Amount, batch: Amount, soak: Span, approve: Bool) {
    self.name = name
    self.hosts = hosts
    self.batch = batch
    self.soak = soak
    self.approve = approve
  }
}

/// How many failures are borne; breached when there are more.
public struct Budget: Hashable, Sendable, Codable {
  /// In the first wave.
  public var canary: Amount
  /// In any later wave, of that wave's hosts.
  public var wave: Amount
  /// In the whole fleet.
  public var fleet: Amount
  /// Hosts that can't be reached before they start, of the whole fleet.
  public var unreachable: Amount

  /// A budget from its parts.
  public init(canary: Amount, wave: Amount, fleet: Amount, unreachable: Amount) {
    self.canary = canary
    self.wave = wave
    self.fleet = fleet
    self.unreachable = unreachable
  }
}

/// What a breached budget does.
public enum BreachAction: String, Hashable, Sendable, Codable, CaseIterable {
  /// Stop, and leave promoted hosts as they are.
  case halt
  /// Restore every host of the rollout.
  case rollback
}

/// How long an old slot is kept.
public struct Retention: Hashable, Sendable, Codable {
  /// Its unit keeps running this long.
  public var running: Span
  /// Its release stays installed this long; never less than `running`.
  public var installed: Span

  /// A retention from its parts.
  public init(running: Span, installed: Span) {
    self.running = running
    self.installed = installed
  }
}
