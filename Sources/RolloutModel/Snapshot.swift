/// A rollout as people and programs see it: what `status --output json` prints.
public struct RolloutSnapshot: Hashable, Sendable, Codable {
  /// The rollout's ID.
  public var id: String
  /// The agent's name.
  public var agent: String
  /// The new version.
  public var version: String
  /// The policy's name.
  public var policy: String
  /// How it stands.
  public var state: RolloutState
  /// Why it stands so; empty while there's nothing to say.
  public var reason: String
  /// The waves in order.
  public var waves: [WaveSnapshot]
  /// The policy's playbooks around each wave, by the hook's name; nil where it has none.
  public var hooks: [String: String]?
  /// The hosts in the plan's order.
  public var hosts: [HostSnapshot]
  /// Hosts by state.
  public var counts: HostCounts
  /// Failures that count against the budgets so far.
  public var failures: Int
  /// Failures borne in the whole fleet.
  public var failuresBorne: Int
  /// When it started, in milliseconds since 1970; nil while it has not begun.
  public var startedAt: Int64?
  /// When it came to its end, in milliseconds since 1970; nil while it has not.
  public var endedAt: Int64?

  /// A snapshot from its parts.
  public init(
    id: String, agent: String, version: String, policy: String, state: RolloutState, reason: String,
    waves: [WaveSnapshot], hosts: [HostSnapshot], counts: HostCounts, failures: Int, failuresBorne: Int,
    startedAt: Int64?, endedAt: Int64?, hooks: [String: String]? = nil
  ) {
    self.id = id
    self.agent = agent
    self.version = version
    self.policy = policy
    self.state = state
    self.reason = reason
    self.waves = waves
    self.hosts = hosts
    self.counts = counts
    self.failures = failures
    self.failuresBorne = failuresBorne
    self.startedAt = startedAt
    self.endedAt = endedAt
    self.hooks = hooks
  }
}

/// One wave in a snapshot.
public struct WaveSnapshot: Hashable, Sendable, Codable {
  /// How a wave stands.
  public enum State: String, Hashable, Sendable, Codable {
    case pending, running, done, failed
  }

  /// The wave's name.
  public var name: String
  /// How it stands.
  public var state: State
  /// Its hosts' names.
  public var hosts: [String]
  /// Most hosts in flight at once.
  public var batch: Int
  /// How long a flipped host is watched, in milliseconds.
  public var soak: Span
  /// Whether a person must approve before it starts.
  public var approve: Bool
  /// The hook that the wave waits for; nil where none is being run.
  public var hook: HookSnapshot?

  /// A wave from its parts.
  public init(
    name: String, state: State, hosts: [String], batch: Int, soak: Span, approve: Bool,
    hook: HookSnapshot? = nil
  ) {
    self.name = name
    self.state = state
    self.hosts = hosts
    self.batch = batch
    self.soak = soak
    self.approve = approve
    self.hook = hook
  }
}

/// A hook under way in a snapshot.
public struct HookSnapshot: Hashable, Sendable, Codable {
  /// Which.
  public var hook: WaveHook
  /// The playbook.
  public var playbook: String
  /// Hosts that it is run on.
  public var hosts: Int
  /// When it began, in milliseconds since 1970.
  public var since: Int64
  /// What it does now; nil where that is not known.
  public var note: String?

  /// A hook from its parts.
  public init(hook: WaveHook, playbook: String, hosts: Int, since: Int64, note: String? = nil) {
    self.hook = hook
    self.playbook = playbook
    self.hosts = hosts
    self.since = since
    self.note = note
  }
}

/// One host in a snapshot.
public struct HostSnapshot: Hashable, Sendable, Codable {
  /// The host's name.
  public var host: String
  /// Its wave's name.
  public var wave: String
  /// Where it is on its way.
  public var state: HostPhase
  /// The slot that new connections reach (`blue`, `green`, `adopted`); nil where none or unknown.
  public var liveSlot: String?
  /// The version that new connections reach; nil where none or unknown.
  public var liveVersion: String?
  /// The version kept for rollback; nil where none.
  public var retainedVersion: String?
  /// Why it stands so; empty while there's nothing to say.
  public var reason: String
  /// The failed unit's last lines; empty while there are none.
  public var lastLines: [String]
  /// Seconds spent in each phase so far.
  public var phases: [String: Double]
  /// When the phase that it is in began, in milliseconds since 1970; nil at an end.
  public var since: Int64?

  /// A host from its parts.
  public init(
    host: String, wave: String, state: HostPhase, liveSlot: String?, liveVersion: String?,
    retainedVersion: String?,
    reason: String, lastLines: [String], phases: [String: Double], since: Int64?
  ) {
    self.host = host
    self.wave = wave
    self.state = state
    self.liveSlot = liveSlot
    self.liveVersion = liveVersion
    self.retainedVersion = retainedVersion
    self.reason = reason
    self.lastLines = lastLines
    self.phases = phases
    self.since = since
  }

  /// What new connections reach, and what is kept, is told of every host: `null` says that there is none, or that nobody knows.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(host, forKey: .host)
    try values.encode(wave, forKey: .wave)
    try values.encode(state, forKey: .state)
    try values.encode(liveSlot, forKey: .liveSlot)
    try values.encode(liveVersion, forKey: .liveVersion)
    try values.encode(retainedVersion, forKey: .retainedVersion)
    try values.encode(reason, forKey: .reason)
    try values.encode(lastLines, forKey: .lastLines)
    try values.encode(phases, forKey: .phases)
    try values.encodeIfPresent(since, forKey: .since)
  }

  enum CodingKeys: String, CodingKey {
    case host, wave, state, reason, phases, since
    case liveSlot = "live_slot"
    case liveVersion = "live_version"
    case retainedVersion = "retained_version"
    case lastLines = "last_lines"
  }
}

/// Hosts by state; the counts add up to the fleet.
public struct HostCounts: Hashable, Sendable, Codable {
  /// Hosts that have not started.
  public var pending = 0
  /// Hosts that have started and are at no end.
  public var inFlight = 0
  /// Hosts on the new release for good.
  public var promoted = 0
  /// Hosts that failed before anything was changed.
  public var failed = 0
  /// Hosts that are back on the old release.
  public var restored = 0
  /// Hosts whose undo could not be proved.
  public var quarantined = 0
  /// Hosts that can't be asked.
  public var unreachable = 0
  /// Hosts left out.
  public var skipped = 0

  /// No hosts.
  public init() {}

  /// Adds `difference` to the count that a phase belongs to.
  public mutating func add(_ difference: Int, to phase: HostPhase) {
    switch phase {
    case .pending: pending += difference
    case .promoted: promoted += difference
    case .failed: failed += difference
    case .restored: restored += difference
    case .quarantined: quarantined += difference
    case .unreachable: unreachable += difference
    case .skipped: skipped += difference
    case .preflight, .staging, .starting, .gating, .flipping, .soaking, .restoring: inFlight += difference
    }
  }

  enum CodingKeys: String, CodingKey {
    case pending, promoted, failed, restored, quarantined, unreachable, skipped
    case inFlight = "in_flight"
  }
}

extension RolloutSnapshot {
  enum CodingKeys: String, CodingKey {
    case id, agent, version, policy, state, reason, waves, hooks, hosts, counts, failures
    case failuresBorne = "failures_borne"
    case startedAt = "started_at"
    case endedAt = "ended_at"
  }
}
