import HostProtocol
import Ports
import RolloutModel

/// Does one step for one host and says what came of it.
package struct StepRunner: Sendable {
  let plan: Plan
  let releases: ReleaseIdentities
  let session: HostSession
  let known: HostKnowledge
  let prober: any Prober
  let preparer: (any HostPreparer)?
  let time: any Timekeeper
  /// Tells people what is waited for.
  let note: @Sendable (String) -> Void
  /// Takes what the playbook does that prepares the host.
  let tellPlaybook: @Sendable (PlaybookEvent) async -> Void
  /// Takes the candidate's last lines in a soak; nil where nobody wants them, so that they are not asked for.
  let unitLines: (@Sendable ([String]) -> Void)?

  /// A runner for one step of one host.
  package init(
    plan: Plan, releases: ReleaseIdentities, session: HostSession, known: HostKnowledge, prober: any Prober,
    preparer: (any HostPreparer)? = nil, time: any Timekeeper,
    note: @escaping @Sendable (String) -> Void,
    tellPlaybook: @escaping @Sendable (PlaybookEvent) async -> Void = { _ in },
    unitLines: (@Sendable ([String]) -> Void)? = nil
  ) {
    self.plan = plan
    self.releases = releases
    self.session = session
    self.known = known
    self.prober = prober
    self.preparer = preparer
    self.time = time
    self.note = note
    self.tellPlaybook = tellPlaybook
    self.unitLines = unitLines
  }

  /// Does the step; its outcome is what was seen, not what was sent.
  package func run(_ step: HostStep) async -> StepOutcome {
    do throws(StepFailure) {
      switch step {
      case .preflight: return .cleared(try await preflight())
      case .stage(let again): return try await stage(again: again)
      case .start: return try await start()
      case .gate: return try await gate()
      case .flip(let passed): return try await flip(gatePassed: passed)
      case .prove: return try await prove()
      case .confirm: return try await confirm()
      case .soak(let span): return try await soak(span)
      case .promote: return try await promote()
      case .restore(let refuse, let reason): return try await restore(refuse: refuse, reason: reason)
      case .reconcile: return .standing(try await reconcile())
      case .retain: return try await retain()
      }
    } catch {
      return .failed(await isOverruled(error) ? error.overruling : error)
    }
  }

  /// Whether the lease was lost to another controller of this same rollout, which may have ended meanwhile.
  private func isOverruled(_ failure: StepFailure) async -> Bool {
    guard failure.kind == .leaseLost else { return false }
    do throws(StepFailure) {
      return try await session.observe().lastLease.map(session.isAnothers) ?? false
    } catch {
      // Not to be known now: the next step asks again.
      return false
    }
  }

  var agent: AgentName { plan.agent.name }
  var host: Host { session.host }

  /// The release for this host, once its architecture is known.
  func release() throws(StepFailure) -> IdentifiedRelease {
    try releases.release(for: known.architecture)
  }
}

extension HostStep {
  /// Whether the step waits for time to pass, so that it may be ended early.
  package var isWaiting: Bool {
    switch self {
    case .gate, .prove, .soak: true
    default: false
    }
  }
}
