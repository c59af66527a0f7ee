import HostProtocol
import Ports
import RolloutModel

/// Undoing what the rollout did to a host, and finding out what that is.
extension StepRunner {
  /// Undoes whatever of this rollout is on the host, then sees the old side healthy. Needs no archive, no dependency and no
  /// gate but that the old side answers.
  func restore(refuse: Bool, reason: String) async throws(StepFailure) -> StepOutcome {
    note("undoes the upgrade")
    var status = try await session.observe()
    let flip = status.flip.map(\.flip).flatMap { laterTry($0) == nil ? nil : $0 } ?? known.flip
    let isFlipped = status.flip?.flip == flip
    if known.isPromoted, !isFlipped {
      // What this rollout did is not the latest here: undoing it would take away what another one needs.
      throw StepFailure(
        .quarantined,
        "the host has been changed since by \(status.flip.map { escapedForTerminal($0.flip) } ?? "somebody else")",
        hint: "roll that back first, or roll out the version that you want")
    }
    if isFlipped, status.flip?.phase == .promoted, let from = known.from, status.retained != from {
      // Asked before the lease is taken, which would keep others away from a host that stays as it is.
      throw StepFailure(
        .quarantined, "the \(from.rawValue) side is not kept any more: there is nothing to go back to",
        hint: "roll out the version that you want")
    }
    if isFlipped, refuse || status.flip?.phase != .reverted {
      status = try await session.status(
        .revert(agent, try await session.key(), flip: flip, reason: reason, refuse: refuse),
        within: .seconds(120))
    } else if let release = known.release,
      refuse || status.slot(known.candidate)?.release?.digest == release,
      status.owner != Side(known.candidate), status.retained != Side(known.candidate), !isFlipped
    {
      status = try await session.status(
        .discard(
          agent, try await session.key(), known.candidate, release: known.release, reason: reason,
          refuse: refuse), within: .seconds(60))
    }
    // After a reboot the old side is only being started.
    let deadline = time.now + min(plan.policy.gate.deadline, .seconds(60))
    while !isWithOldSide(status), time.now < deadline {
      note("waits for traffic to be back with the old version")
      _ = await pause(.seconds(1))
      status = try await session.observe()
    }
    guard isWithOldSide(status) else {
      throw StepFailure(
        .host,
        "after the undo traffic is with \(status.owner?.rawValue ?? "nobody") rather than "
          + "\(known.from?.rawValue ?? "nobody")", lastLines: status.lastLines)
    }
    if known.isStopped == true, !isFlipped, let from = known.from {
      try await session.giveBack()
      try await leaveAsFound(from)
      return .restored
    }
    if let from = known.from { try await seeHealthy(from) }
    try await session.giveBack()
    return .restored
  }

  private func isWithOldSide(_ status: AgentStatus) -> Bool {
    guard status.owner == known.from || known.from == .adopted && status.owner == nil else { return false }
    guard let slot = known.from?.slot else { return true }
    return status.slot(slot)?.release?.manifest.version.text == known.fromVersion
  }

  /// The old side must answer where clients connect.
  private func seeHealthy(_ side: Side) async throws(StepFailure) {
    note("waits for the old version to answer on the public port")
    let version = known.fromVersion.flatMap { Version($0) }
    let questions =
      if let slot = side.slot {
        try await publicQuestions(version: version, slot: slot)
      } else {
        try await questions(
          version: version, slot: .blue, port: plan.agent.adopt?.port ?? plan.agent.publicPort,
          inside: plan.acceptLocalProbes)
      }
    let deadline = time.now + min(plan.policy.gate.deadline, .seconds(60))
    while true {
      let round = await ask(questions)
      guard let bad = round.first(where: { !$0.isHealthy }) else { return }
      guard time.now < deadline else {
        throw StepFailure(.host, "the old version was not seen healthy after the undo: \(bad.reason ?? "")")
      }
      // A restore is never ended early, so that a cancelled wait only shortens the pause.
      _ = await pause(min(plan.policy.gate.interval, .seconds(1)))
    }
  }

  func reconcile() async throws(StepFailure) -> HostStanding {
    note("asks the host how it stands")
    var status = try await session.observeOurs()
    // An earlier controller of this rollout may still live: from here on the host refuses it. What it did before that counts.
    if status.lease.map(session.isOurs) == true {
      _ = try await session.key()
      status = try await session.observeOurs()
    }
    if let quarantine = status.quarantine { return .quarantined(reason: quarantine) }
    let unit = status.slot(known.candidate)?.unit
    if let flip = status.flip, flip.flip == known.flip {
      let reason = flip.reason ?? "the host has undone the flip"
      switch flip.phase {
      case .armed where status.owner == Side(known.candidate): return .armed
      // It was cut off before traffic moved: proved anew, the same flip goes on.
      case .armed where unit?.isActive == true:
        return .candidateRuns(bootID: status.bootID, invocation: unit?.invocation ?? "")
      case .armed: throw StepFailure(.changed, "the flip was cut off, and the candidate is down")
      case .confirmed:
        // A host that is booting may be asked before it has started anything: that neither side answers then is no outage.
        guard let unit, !unit.invocation.isEmpty else {
          throw StepFailure(.changed, "the host has not started the new version since its boot")
        }
        return .confirmed(bootID: status.bootID, invocation: unit.invocation)
      case .promoted: return .promoted
      case .reverting: throw StepFailure(.changed, "the host is undoing the flip: \(reason)")
      case .reverted where flip.orderedBy != nil: return .undoneByOrder(reason: reason)
      case .reverted: return .undone(unconfirmed: flip.isUnconfirmed, reason: reason)
      }
    }
    if let flip = status.flip, flip.to == Side(known.candidate), let tries = laterTry(flip.flip) {
      guard flip.phase != .reverting else {
        throw StepFailure(.changed, "the host is undoing flip \(escapedForTerminal(flip.flip))")
      }
      return .ahead(flip: flip.flip, tries: tries, isOver: flip.phase == .reverted)
    }
    // A slot that was never seen started may hold the same release from an earlier rollout, about to be emptied: a start
    // finds out.
    guard let release = known.release, !known.invocation.isEmpty,
      status.slot(known.candidate)?.release?.digest == release, let unit, unit.isActive
    else { return .untouched }
    // Whether it is the unit that was started before is of no matter: it is gated anew.
    return .candidateRuns(bootID: status.bootID, invocation: unit.invocation)
  }

  /// The try of this host that a flip was begun for, where that is a later one than the journal knows of.
  private func laterTry(_ flip: String) -> Int? {
    func parts(_ flip: String) -> (host: Substring, tries: Int)? {
      guard let dash = flip.lastIndex(of: "-"), let tries = Int(flip[flip.index(after: dash)...]) else {
        return nil
      }
      return (flip[..<dash], tries)
    }
    guard let theirs = parts(flip), let ours = parts(known.flip), theirs.host == ours.host,
      theirs.tries > ours.tries, theirs.tries < 1 << 20
    else { return nil }
    return theirs.tries
  }
}
