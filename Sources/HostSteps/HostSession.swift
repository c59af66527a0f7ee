import HostProtocol
import Ports
import RolloutModel

/// Our side of the conversation with one host during a rollout: the channel, the lease, and failures in the rollout's terms.
package actor HostSession {
  /// How long a lease lasts unless it's renewed: long enough for a controller to be started again by hand after a crash.
  static let leaseTTL = Span.seconds(900)
  /// A lease older than this is renewed before the next change.
  static let renewAfter = Span.seconds(240)

  nonisolated let host: Host
  nonisolated let setup: AgentSetup
  /// The door.
  package nonisolated let channel: any HostChannel
  private nonisolated let identity: ControllerIdentity
  private let time: any Timekeeper
  private var lease: (key: LeaseKey, since: Moment)?

  /// A session that has no lease yet.
  package init(
    host: Host, setup: AgentSetup, channel: any HostChannel, identity: ControllerIdentity,
    time: any Timekeeper
  ) {
    self.host = host
    self.setup = setup
    self.channel = channel
    self.identity = identity
    self.time = time
  }

  /// Asks, and throws what the host or the way to it refused, in the rollout's terms.
  nonisolated func ask(_ request: HostRequest, within: Duration) async throws(StepFailure) -> HostReply {
    let reply: HostReply
    do { reply = try await channel.call(request, within: within) } catch { throw StepFailure(error) }
    return try checked(reply)
  }

  nonisolated func checked(_ reply: HostReply) throws(StepFailure) -> HostReply {
    if case .failed(let failure) = reply { throw StepFailure(failure) }
    return reply
  }

  /// Asks something that is answered by the agent's status.
  nonisolated func status(_ request: HostRequest, within: Duration) async throws(StepFailure) -> AgentStatus {
    guard case .status(let status) = try await ask(request, within: within) else { throw .wrongReply }
    return status
  }

  /// How the agent stands on the host, seen anew.
  package nonisolated func observe() async throws(StepFailure) -> AgentStatus {
    try await status(.observe(setup.name), within: .seconds(15))
  }

  /// Whether a lease was taken for this rollout, by this controller or an earlier one.
  nonisolated func isOurs(_ lease: Lease) -> Bool { lease.reason == identity.purpose }

  /// Whether it was issued for this rollout to another controller.
  nonisolated func isAnothers(_ lease: IssuedLease) -> Bool {
    lease.reason == identity.purpose && lease.key.controller != identity.id
  }

  /// How the agent stands on the host. Throws where another controller of this rollout has taken the lease that we had: what
  /// is found then is its doing, and says nothing of the release.
  func observeOurs() async throws(StepFailure) -> AgentStatus {
    let status = try await observe()
    if lease != nil, let last = status.lastLease, isAnothers(last) {
      throw StepFailure(.leaseLost, "its lease of epoch \(last.key.epoch) is newer than ours").overruling
    }
    return status
  }

  /// The lease's key, taken or renewed where that is due. A lease that an earlier controller of this same rollout
  /// holds is taken over: the rollout's lock says that it's gone.
  func key() async throws(StepFailure) -> LeaseKey {
    if let lease, time.now.since(lease.since) < Self.renewAfter { return lease.key }
    if let lease {
      // A lease that somebody has taken over is not taken back: renewing it is refused.
      let asked = time.now
      guard
        case .lease(let renewed) = try await ask(
          .renew(setup.name, lease.key, ttl: Self.leaseTTL), within: .seconds(30))
      else { throw .wrongReply }
      self.lease = (renewed.key, asked)
      return renewed.key
    }
    do {
      return try await acquire(takeOver: identity.takesOver)
    } catch  where error.kind == .leaseLost {
      guard let held = try await observe().lease, isOurs(held) else { throw error }
      return try await acquire(takeOver: true)
    }
  }

  private func acquire(takeOver: Bool) async throws(StepFailure) -> LeaseKey {
    let request = LeaseRequest(
      setup: setup, controller: identity.id, holder: identity.holder, reason: identity.purpose,
      ttl: Self.leaseTTL, takeOver: takeOver)
    let asked = time.now
    guard case .lease(let granted) = try await ask(.acquire(request), within: .seconds(30)) else {
      throw .wrongReply
    }
    lease = (granted.key, asked)
    return granted.key
  }

  /// Gives the lease back, also one that an earlier controller of this rollout has left; a lease that can't be given back
  /// runs out by itself.
  func giveBack() async throws(StepFailure) {
    if lease == nil, try await observe().lease.map(isOurs) == true {
      _ = try await acquire(takeOver: true)
    }
    guard let held = lease else { return }
    lease = nil
    _ = try await ask(.release(setup.name, held.key), within: .seconds(15))
  }
}

/// Who this controller is, to hosts.
public struct ControllerIdentity: Sendable {
  /// A UUID of this run of the controller.
  public var id: String
  /// The person and machine.
  public var holder: String
  /// The rollout: leases taken for the same purpose by an earlier controller are ours to take over.
  public var purpose: String
  /// Whether other controllers' live leases are taken over too.
  public var takesOver: Bool

  /// An identity from its parts.
  public init(id: String, holder: String, purpose: String, takesOver: Bool) {
    self.id = id
    self.holder = holder
    self.purpose = purpose
    self.takesOver = takesOver
  }
}

extension StepFailure {
  static let wrongReply = StepFailure(
    .lost, "the host program answered something else than was asked",
    hint: "this is a fault of Switchyard: please report it")

  /// The same, lost to another controller of the rollout.
  var overruling: StepFailure {
    StepFailure(
      .overruled, "another controller has taken this rollout over (\(reason))",
      hint: "leave the rollout to it; switchyard rollout status says how it stands", lastLines: lastLines)
  }

  /// What the way to a host refused.
  init(_ error: DoorError) {
    let kind: Kind
    switch error.kind {
    case .unreachable, .refused, .unusable: kind = .unreachable
    case .lost, .garbled: kind = .lost
    case .local: kind = .shared
    }
    self.init(kind, error.message, hint: error.hint)
  }

  /// What the host refused.
  init(_ failure: HostFailure) {
    let kind: Kind
    switch failure.code {
    case .leaseHeld, .staleLease: kind = .leaseLost
    case .flipGone: kind = .undone
    case .quarantined, .cannotRestore: kind = .quarantined
    case .draining: kind = .busy
    // It has booted or been changed since it was looked at: it is looked at again.
    case .staleBelief, .shuttingDown: kind = .changed
    default: kind = .host
    }
    self.init(kind, failure.message, hint: failure.hint, lastLines: failure.lastLines)
  }
}
