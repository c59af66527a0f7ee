import RolloutModel

/// All that a host remembers of an agent. Written whole, before what it announces is done.
public struct AgentRecord: Hashable, Sendable, Codable {
  /// Grows with each writing.
  public var revision: UInt64
  /// The agent as the last lease's holder described it.
  public var setup: AgentSetup
  /// The boot that this host was last put in order in.
  public var bootID: String
  /// The last epoch that was issued.
  public var epoch: UInt64
  /// The lease that was issued last; nil once it was given back or overruled.
  public var lease: HeldLease?
  /// The lease that was issued last, also where it is over.
  public var lastLease: IssuedLease?
  /// What is in the blue slot; nil where it's empty.
  public var blue: SlotRecord?
  /// What is in the green slot; nil where it's empty.
  public var green: SlotRecord?
  /// The release whose archive is coming or has come, until a slot holds it: a chore must not take it for garbage.
  public var staged: IdentifiedRelease?
  /// Who is to own traffic.
  public var owner: Side?
  /// The latest flip.
  public var flip: FlipRecord?
  /// The side kept for rollback.
  public var retained: Side?
  /// How much longer the retained side is kept; nil as long as its rollout has not ended.
  public var retention: RetentionClock?
  /// The flip that made a first install, once its rollout has ended: with nothing to keep there is no retention that says so.
  public var settledInstall: String?
  /// Sides that lost traffic a short time ago.
  public var drains: [Drain]
  /// When a revert that could not be done is tried again; nil where it isn't.
  public var retry: HostDeadline?
  /// Why the host is quarantined; nil where it isn't.
  public var quarantine: String?
  /// Releases that a gate or a person rolled back here, oldest first.
  public var refused: [Digest]
  /// The last release that was promoted.
  public var lastGood: IdentifiedRelease?
  /// The lowest version that may be brought here: the highest one that a rollout has named so far.
  public var floor: Version?

  /// The most refused releases that are remembered.
  static let refusedLimit = 64

  /// An agent that is seen for the first time: an adopted one owns its traffic already.
  init(setup: AgentSetup, bootID: String) {
    revision = 0
    self.setup = setup
    self.bootID = bootID
    epoch = 0
    owner = setup.adopt == nil ? nil : .adopted
    drains = []
    refused = []
  }

  /// What is in a slot.
  public subscript(slot: Slot) -> SlotRecord? {
    get { slot == .blue ? blue : green }
    set {
      switch slot {
      case .blue: blue = newValue
      case .green: green = newValue
      }
    }
  }

  /// The releases whose files must stay.
  public var manifests: [ReleaseManifest] {
    [blue?.release, green?.release, staged, lastGood].compactMap { $0?.manifest }
  }

  mutating func refuse(_ release: Digest) {
    guard !refused.contains(release) else { return }
    refused.append(release)
    refused.removeFirst(max(0, refused.count - AgentRecord.refusedLimit))
  }

  /// A floor only rises.
  mutating func raiseFloor(to version: Version?) {
    guard let version else { return }
    if floor.map({ $0.isBelow(version) }) ?? true { floor = version }
  }

  /// Whether connections may still be open to a side that lost traffic.
  func isDraining(_ side: Side, at now: HostNow) -> Bool {
    drains.contains { $0.side == side && !$0.until.hasPassed(at: now) }
  }

  /// Whether the flip's unit is being watched: it undoes the flip by failing.
  public var inProbation: Bool {
    guard let flip else { return false }
    return (flip.phase == .armed || flip.phase == .confirmed) && owner == flip.to
  }

  /// When the host must next do something by itself; nil where nothing is due.
  public func nextDue(at now: HostNow) -> Moment? {
    var due = drains.map { $0.until.moment(at: now) }
    if let flip, flip.phase == .armed {
      due.append(flip.bootID == now.bootID ? flip.deadline : HostDeadline.longPast)
    }
    if let flip, flip.phase == .reverting {
      if let retry {
        due.append(retry.moment(at: now))
      } else if quarantine == nil {
        due.append(HostDeadline.longPast)
      }
    }
    if let retention, let retained, flip?.phase == .promoted, owner != retained {
      due.append(retention.nextLook(at: now))
    }
    return due.min()
  }
}

/// What is in a slot.
public struct SlotRecord: Hashable, Sendable, Codable {
  /// The release that was written into it.
  public var release: IdentifiedRelease
  /// The boot in which its unit was started last.
  public var bootID: String
  /// The invocation that came of that start; empty while there is none.
  public var invocation: String

  /// A record from its parts.
  public init(release: IdentifiedRelease, bootID: String, invocation: String) {
    self.release = release
    self.bootID = bootID
    self.invocation = invocation
  }
}

/// A lease as the host keeps it. It outlives a reboot, counted anew from the boot.
public struct HeldLease: Hashable, Sendable, Codable {
  /// Controller and epoch.
  public var key: LeaseKey
  /// The person and machine that hold it, for messages.
  public var holder: String
  /// What for.
  public var reason: String
  /// How long it lasts from `renewed` on.
  public var ttl: Span
  /// The boot in which it was renewed last.
  public var bootID: String
  /// When it was renewed last.
  public var renewed: Moment

  /// How much longer it lasts; zero once anybody may take it. Until somebody does, it's still its holder's.
  public func remaining(at now: HostNow) -> Span {
    let start = bootID == now.bootID ? renewed : Moment(milliseconds: 0)
    return (start + ttl).since(now.moment)
  }

  /// The lease as it is told to others.
  public func lease(at now: HostNow) -> Lease {
    Lease(key: key, holder: holder, reason: reason, remaining: remaining(at: now))
  }
}
