/// What happens in a run of a playbook. All texts are escaped for a terminal and bounded.
public enum PlaybookEvent: Hashable, Sendable, Codable {
  /// The door of a host was chosen.
  case door(host: String, PlaybookDoorChoice)
  /// A play begins.
  case play(String)
  /// A task begins. Over the RPC door each host goes its own way and is named.
  case task(PlaybookTask, host: String?)
  /// A task has ended on a host.
  case result(PlaybookTaskResult)
  /// The run of a host is over.
  case ended(PlaybookHostReport)
}

/// The door that was taken to a host, and why.
public struct PlaybookDoorChoice: Hashable, Sendable, Codable {
  /// A way to a host.
  public enum Door: String, Hashable, Sendable, Codable { case ssh, rpc }

  /// Which.
  public var door: Door
  /// Why, in words.
  public var why: String

  /// A choice from its parts.
  public init(_ door: Door, why: String) {
    self.door = door
    self.why = why
  }
}

/// A task of a playbook.
public struct PlaybookTask: Hashable, Sendable, Codable {
  /// Its name, or what it does where it has none.
  public var name: String
  /// The play it is in.
  public var play: String

  /// A task from its parts.
  public init(name: String, play: String) {
    self.name = name
    self.play = play
  }
}

/// What came of a task on a host.
public struct PlaybookTaskResult: Hashable, Sendable, Codable {
  /// How a task can end.
  public enum Outcome: String, Hashable, Sendable, Codable {
    case ok, changed, skipped, failed, unreachable
    /// It failed, and the playbook says that this doesn't matter.
    case ignored
  }

  /// The host.
  public var host: String
  /// The task.
  public var task: PlaybookTask
  /// How it ended.
  public var outcome: Outcome
  /// What a failed one says of itself; empty otherwise, and where it must not be told.
  public var message: String

  /// A result from its parts.
  public init(host: String, task: PlaybookTask, outcome: Outcome, message: String) {
    self.host = host
    self.task = task
    self.outcome = outcome
    self.message = message
  }
}

/// How many tasks ended how on a host.
public struct PlaybookCounts: Hashable, Sendable, Codable {
  /// Done, also where something was changed.
  public var ok = 0
  /// Of those, the ones that changed something.
  public var changed = 0
  /// Passed over, as their conditions did not hold.
  public var skipped = 0
  /// Failed, with nothing to catch that.
  public var failed = 0
  /// The host could not be asked.
  public var unreachable = 0
  /// Failed, and their block's rescue took over.
  public var rescued = 0
  /// Failed, and that does not matter.
  public var ignored = 0

  /// None.
  public init() {}
}

/// How the run of one host has ended.
public struct PlaybookHostReport: Hashable, Sendable, Codable {
  /// How a run can end.
  public enum Outcome: String, Hashable, Sendable, Codable {
    /// Nothing had to be changed.
    case ok
    case changed
    /// Every task was skipped.
    case skipped
    case failed
    case unreachable
    /// No play of the playbook is for this host.
    case unmatched
    /// It was broken off, or the connection was lost: unknown how far it came.
    case lost
  }

  /// The host.
  public var host: String
  /// How it ended.
  public var outcome: Outcome
  /// How many tasks ended how.
  public var counts: PlaybookCounts
  /// The door that was taken.
  public var door: PlaybookDoorChoice
  /// The task that failed; empty where none did.
  public var failedTask: String
  /// Why it failed; empty where it did not.
  public var reason: String
  /// What the playbook tells of the host: `set_stats` with `switchyard: {HOST: {NAME: TEXT}}`.
  public var told: [String: String] = [:]
  /// Bytes that were sent to the host; nil over SSH, where nobody counts them.
  public var sentBytes: Int?
  /// Whether the project had to be sent; nil over SSH.
  public var sentProject: Bool?

  /// A report from its parts.
  public init(
    host: String, outcome: Outcome, counts: PlaybookCounts, door: PlaybookDoorChoice, failedTask: String,
    reason: String
  ) {
    self.host = host
    self.outcome = outcome
    self.counts = counts
    self.door = door
    self.failedTask = failedTask
    self.reason = reason
  }

  /// Whether the host has done all that was asked.
  public var isGood: Bool {
    switch outcome {
    case .ok, .changed, .skipped: true
    case .failed, .unreachable, .unmatched, .lost: false
    }
  }
}

/// How a run has ended.
public struct PlaybookReport: Hashable, Sendable, Codable {
  /// The playbook.
  public var playbook: String
  /// The digest of all that was run: files, and which of them are programs.
  public var digest: String
  /// Each host's end, in the job's order.
  public var hosts: [PlaybookHostReport]
  /// Whether it was ended for taking too long.
  public var isLate = false

  /// A report from its parts.
  public init(playbook: String, digest: String, hosts: [PlaybookHostReport]) {
    self.playbook = playbook
    self.digest = digest
    self.hosts = hosts
  }
}
