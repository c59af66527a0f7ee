/// One thing that the controller does for one host. Every step can be done twice with the result of once.
public enum HostStep: Hashable, Sendable, Codable {
  /// Facts, dependency checks, the rollback target seen healthy. Writes nothing.
  case preflight
  /// The lease is taken, the archive is brought to the host's release store. `again` lifts an earlier refusal of the release.
  case stage(again: Bool)
  /// The candidate's unit is started.
  case start
  /// The candidate is probed on its own port until the gate passes or fails.
  case gate
  /// The host is told to move traffic; the gate passed at this moment of the controller's clock.
  case flip(gatePassed: Moment)
  /// The public port is probed from outside the host until the gate passes or fails.
  case prove
  /// The host is told that the flip works.
  case confirm
  /// The flipped host is watched.
  case soak(Span)
  /// The host is told that the flip is final.
  case promote
  /// Everything that this rollout did to the host is undone, and the old side is seen healthy. `refuse` marks the release as
  /// rolled back by a gate or a person.
  case restore(refuse: Bool, reason: String)
  /// The host is asked how it stands, after a connection was lost or the controller died.
  case reconcile
  /// The rollout has ended: retention starts, the lease is given back.
  case retain

  /// The phase that a person sees while the step is done.
  public var phase: HostPhase? {
    switch self {
    case .preflight: .preflight
    case .stage: .staging
    case .start: .starting
    case .gate: .gating
    case .flip, .prove, .confirm: .flipping
    case .soak, .promote: .soaking
    case .restore: .restoring
    case .reconcile, .retain: nil
    }
  }

  /// The step's name in lines and records.
  public var word: String {
    switch self {
    case .preflight: "preflight"
    case .stage: "stage"
    case .start: "start"
    case .gate: "gate"
    case .flip: "flip"
    case .prove: "prove"
    case .confirm: "confirm"
    case .soak: "soak"
    case .promote: "promote"
    case .restore: "restore"
    case .reconcile: "reconcile"
    case .retain: "retain"
    }
  }
}

/// Where a host is on its way.
public enum HostPhase: String, Hashable, Sendable, Codable, CaseIterable {
  case pending, preflight, staging, starting, gating, flipping, soaking, promoted, failed, restoring,
    restored,
    quarantined, unreachable, skipped

  /// Whether the host is on its way: started, and at no end.
  public var isInFlight: Bool {
    switch self {
    case .preflight, .staging, .starting, .gating, .flipping, .soaking, .restoring: true
    default: false
    }
  }

  /// Whether the host is at an end.
  public var isEnd: Bool { self != .pending && !isInFlight }
}

/// What the rollout knows of a host, learned by steps.
public struct HostKnowledge: Hashable, Sendable, Codable {
  /// As `uname -m` says it; empty before the preflight.
  public var architecture: String
  /// The release's digest for this host's architecture.
  public var release: Digest?
  /// Who owned traffic when the host was first asked; nil where nobody did.
  public var from: Side?
  /// The version that owned traffic then; nil where nobody did or it can't be told (adopted).
  public var fromVersion: String?
  /// The slot for the new release.
  public var candidate: Slot
  /// The flip's name.
  public var flip: String
  /// The host's boot in which the candidate was started.
  public var bootID: String
  /// The candidate unit's invocation.
  public var invocation: String
  /// A person wants the release tried again although it was rolled back here.
  public var again: Bool
  /// The flip was promoted.
  public var isPromoted: Bool
  /// The side that owned traffic was stopped then, so that it is started before anything else; nil where it was not.
  public var isStopped: Bool?

  /// Nothing is known yet.
  public init(flip: String) {
    architecture = ""
    again = false
    isPromoted = false
    candidate = .blue
    self.flip = flip
    bootID = ""
    invocation = ""
  }
}

/// What a preflight showed.
public struct PreflightResult: Hashable, Sendable, Codable {
  /// As `uname -m` says it.
  public var architecture: String
  /// The release's digest for this host.
  public var release: Digest
  /// Who owns traffic; nil where nobody does.
  public var from: Side?
  /// The version that owns traffic; nil where it can't be told.
  public var fromVersion: String?
  /// The slot for the new release.
  public var candidate: Slot
  /// Whether the release is live already: nothing is to be done.
  public var isLive: Bool
  /// By which door the host was asked, and why, for people; nil where there is no choice of doors.
  public var way: String?
  /// Whether the side that owns traffic was stopped by somebody, so that it is started before anything else; nil where it was not.
  public var isStopped: Bool?

  /// A result from its parts.
  public init(
    architecture: String, release: Digest, from: Side?, fromVersion: String?, candidate: Slot, isLive: Bool,
    way: String? = nil, isStopped: Bool? = nil
  ) {
    self.architecture = architecture
    self.release = release
    self.from = from
    self.fromVersion = fromVersion
    self.candidate = candidate
    self.isLive = isLive
    self.way = way
    self.isStopped = isStopped
  }
}

/// What came of a step.
public enum StepOutcome: Hashable, Sendable, Codable {
  /// Of a preflight.
  case cleared(PreflightResult)
  /// The release is in the host's store.
  case staged
  /// The candidate's unit is active.
  case started(bootID: String, invocation: String)
  /// The gate has passed; the time is the controller's.
  case gatePassed(Moment)
  /// The host has moved traffic and waits for a confirm.
  case flipped
  /// The public port answers from outside with the new version.
  case proven
  /// The host has confirmed.
  case confirmed
  /// The soak is over without a breach, after this many samples that the candidate served.
  case soaked(samples: Int)
  /// The host has promoted.
  case promoted
  /// The host is as it was before the rollout, and the old side was seen healthy where there is one.
  case restored
  /// Retention has started.
  case retained
  /// Of a reconcile: where the host stands.
  case standing(HostStanding)
  /// The step was ended early because the rollout asked for it.
  case cancelled
  /// The step failed.
  case failed(StepFailure)
}

/// Where a host stands, as a reconcile saw it.
public enum HostStanding: Hashable, Sendable, Codable {
  /// Nothing of this rollout runs there; the old side owns traffic.
  case untouched
  /// The candidate runs and was not flipped.
  case candidateRuns(bootID: String, invocation: String)
  /// Flipped, and not confirmed.
  case armed
  /// Confirmed, in probation; the host has rebooted or the unit was started anew where these are not what was known.
  case confirmed(bootID: String, invocation: String)
  /// Promoted.
  case promoted
  /// The host has had a flip of this rollout for a later try than the journal knows of, by a controller elsewhere that went on
  /// from a copy of it. `isOver`: that one is undone.
  case ahead(flip: String, tries: Int, isOver: Bool)
  /// The host has undone the flip by itself, because no confirm came (`unconfirmed`) or because the candidate failed.
  case undone(unconfirmed: Bool, reason: String)
  /// Another controller of this rollout had the flip undone, one that went on from a copy of the journal or from a later state
  /// of it.
  case undoneByOrder(reason: String)
  /// The host can't undo it.
  case quarantined(reason: String)
}

/// Why a step failed.
public struct StepFailure: Error, Hashable, Sendable, Codable {
  /// What kind, for decisions.
  public enum Kind: String, Hashable, Sendable, Codable {
    /// The host could not be reached, or did not let us in: nothing was asked.
    case unreachable
    /// The connection was lost in the middle: the outcome is unknown.
    case lost
    /// The host answered, and stands otherwise than was believed: it is to be asked anew.
    case changed
    /// The host refused or failed to do it.
    case host
    /// The gate, or the soak, did not pass.
    case gate
    /// A dependency or another precondition of this host does not hold. Up to the staging: nothing was changed.
    case precondition
    /// The host has undone the flip by itself.
    case undone
    /// The host can't undo, and says so.
    case quarantined
    /// Another controller has the lease.
    case leaseLost
    /// Another controller of the same rollout has the lease: this one must stop.
    case overruled
    /// The host must be left alone for a while before it can be done.
    case busy
    /// Something that all hosts share failed: the archive, the controller's own machine.
    case shared
  }

  /// What kind.
  public var kind: Kind
  /// What failed, where and why; escaped for a terminal.
  public var reason: String
  /// What to do; empty where nothing can be said.
  public var hint: String
  /// The failed unit's last lines, escaped for a terminal.
  public var lastLines: [String]

  /// A failure from its parts.
  public init(_ kind: Kind, _ reason: String, hint: String = "", lastLines: [String] = []) {
    self.kind = kind
    self.reason = reason
    self.hint = hint
    self.lastLines = lastLines
  }
}
