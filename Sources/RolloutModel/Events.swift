/// Something that happened, with all that a decision about it may need: time and chance come in here.
public struct StampedEvent: Hashable, Sendable, Codable {
  /// What happened.
  public var event: RolloutEvent
  /// The controller's clock since its machine's boot.
  public var at: Moment
  /// The wall clock in milliseconds since 1970, for people only.
  public var wall: Int64
  /// A random number, for jitter.
  public var chance: UInt64

  /// An event with its stamp.
  public init(_ event: RolloutEvent, at: Moment, wall: Int64, chance: UInt64) {
    self.event = event
    self.at = at
    self.wall = wall
    self.chance = chance
  }
}

/// What can happen to a rollout.
public enum RolloutEvent: Hashable, Sendable, Codable {
  /// It starts.
  case started
  /// A controller took it up after another one ended or died: every step that was under way is unknown.
  case resumed(controller: String)
  /// A step came to its end. An outcome of another attempt than the one under way is ignored.
  case step(host: Int, attempt: Int, StepOutcome)
  /// A wave's hook came to its end. An outcome of another run than the one under way is ignored.
  case hook(HookRun, HookOutcome)
  /// A person said something.
  case order(Order)
}

/// What a person can say to a rollout.
public struct Order: Hashable, Sendable, Codable {
  /// What to do.
  public enum Verb: Hashable, Sendable, Codable {
    /// Start no further host.
    case pause
    /// Go on.
    case resume
    /// Let the waiting wave start.
    case approve
    /// Undo what is in flight, leave what is promoted, end.
    case abort
    /// Restore every host of the rollout.
    case rollback
    /// Leave these hosts out.
    case skip([Int])
    /// Try these hosts again.
    case retry([Int])
  }

  /// What to do.
  public var verb: Verb
  /// Why; may be empty.
  public var reason: String
  /// Who said it.
  public var by: String

  /// An order from its parts.
  public init(_ verb: Verb, reason: String, by: String) {
    self.verb = verb
    self.reason = reason
    self.by = by
  }
}

/// What is to be done.
public enum RolloutEffect: Hashable, Sendable, Codable {
  /// Do a step for a host after a delay. The attempt names it in its outcome.
  case perform(host: Int, attempt: Int, HostStep, HostKnowledge, delay: Span)
  /// End the host's waiting step (gate, prove, soak, or a delay) early; its outcome is then `cancelled`.
  case cancel(host: Int)
  /// Run a wave's hook on these hosts. It may have been begun before, by a controller that died.
  case runHook(HookRun, hosts: [Int])
  /// End the hook's run early; its outcome is then `cancelled`.
  case cancelHook(HookRun)
  /// The rollout has come to an end, or waits for a person: a program that follows it may leave.
  case rest(RolloutState)
}

/// How a rollout stands.
public enum RolloutState: String, Hashable, Sendable, Codable {
  case running, paused
  case awaitingApproval = "awaiting_approval"
  case promoted
  case promotedWithExceptions = "promoted_with_exceptions"
  case rollingBack = "rolling_back"
  case rolledBack = "rolled_back"
  case rollbackIncomplete = "rollback_incomplete"
  case halted, aborted

  /// Whether nothing more happens by itself, or by `resume` and `approve`.
  public var isEnd: Bool {
    switch self {
    case .running, .paused, .awaitingApproval, .rollingBack: false
    default: true
    }
  }

  /// The exit code of a verb that followed the rollout here.
  public var exitCode: Int32 {
    switch self {
    case .promoted: 0
    case .rolledBack: 3
    // Whoever stops looking while a rollback is under way has not seen it done.
    case .rollingBack, .rollbackIncomplete: 4
    case .paused, .awaitingApproval, .running: 5
    case .halted: 6
    case .promotedWithExceptions: 7
    case .aborted: 8
    }
  }
}
