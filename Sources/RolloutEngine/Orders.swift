import RolloutModel

/// What a person's word does.
extension RolloutEngine {
  mutating func obey(_ order: Order) {
    let said = order.reason.isEmpty ? order.by : "\(order.by): \(order.reason)"
    switch order.verb {
    case .pause:
      guard mode == .running || mode == .awaitingApproval else { return }
      mode = .running
      pause("paused by \(said)")
    case .resume:
      guard mode == .paused else { return }
      mode = .running
      reason = ""
    case .approve:
      guard mode == .awaitingApproval else { return }
      mode = .running
      isWaveOpen = true
      reason = ""
    case .abort:
      guard isGoingOn else { return }
      reason = "aborted by \(said)"
      stop(.abort, undo: HostRun.Undo(refuse: false, reason: reason))
    case .rollback: rollBack(said)
    case .skip(let chosen):
      guard isGoingOn else { return }
      for host in chosen where (0..<plannedHosts).contains(host) { skip(host, said) }
    case .retry(let chosen): retry(chosen.filter { (0..<plannedHosts).contains($0) && mayRetry($0) })
    }
    dropHookOfOtherHosts()
  }

  private mutating func rollBack(_ said: String) {
    if case .stopping(.rollback) = mode { return }
    if case .ended(.rolledBack) = mode { return }
    endedWall = nil
    reason = "rolled back by \(said)"
    let undo = HostRun.Undo(refuse: true, reason: reason)
    stop(.rollback, undo: undo)
    // What could not be undone may have been repaired since.
    for host in hosts.indices where hosts[host].phase == .quarantined && hosts[host].touched {
      wantUndone(host, undo)
    }
  }

  private mutating func skip(_ host: Int, _ said: String) {
    let why = "skipped by \(said)"
    switch hosts[host].phase {
    case .pending where hosts[host].touched:
      hosts[host].leaveOut = true
      wantUndone(host, HostRun.Undo(refuse: false, reason: why))
    case .pending, .failed, .restored:
      hosts[host].reason = why
      uncharge(host)
      enter(host, .skipped)
    case .unreachable where !hosts[host].touched:
      hosts[host].reason = why
      unreachableBeforeStart -= 1
      enter(host, .skipped)
    case .preflight, .staging, .starting, .gating, .flipping, .soaking:
      hosts[host].leaveOut = true
      wantUndone(host, HostRun.Undo(refuse: false, reason: why))
    case .promoted, .restoring, .quarantined, .unreachable, .skipped: break
    }
  }

  func mayRetry(_ host: Int) -> Bool {
    switch hosts[host].phase {
    case .failed, .restored, .skipped, .unreachable, .quarantined: true
    default: false
    }
  }

  private mutating func retry(_ chosen: [Int]) {
    guard !chosen.isEmpty else { return }
    switch mode {
    case .running, .paused: chosen.forEach { requeue($0) }
    case .awaitingApproval, .ended(.promotedWithExceptions):
      chosen.forEach { requeue($0) }
      reopen()
    case .ended(.halted):
      var after = self
      chosen.forEach { after.requeue($0) }
      guard !after.isOverBudget else {
        reason =
          "still halted: without the hosts that are to be tried again a budget is breached all the same"
        return
      }
      self = after
      reopen()
    default: break
    }
  }

  private mutating func reopen() {
    mode = .running
    // What was begun or waited when the rollout was stopped would be forgotten.
    let waiting = Set(requeued)
    for host in 0..<plannedHosts
    where hosts[host].phase == .pending && (waveOf(host) < wave || host < cursor) && !waiting.contains(host) {
      requeued.append(host)
    }
    reason = ""
    endedWall = nil
  }

  /// The host is to be begun anew, as one that has not failed.
  private mutating func requeue(_ host: Int) {
    guard mayRetry(host) else { return }
    isUnprovenAccepted = false
    if hosts[host].phase == .unreachable, !hosts[host].touched { unreachableBeforeStart -= 1 }
    uncharge(host)
    hosts[host].asksFirst = hosts[host].isUnknown
    enter(host, .pending)
    hosts[host].again = true
    hosts[host].leaveOut = false
    // What could not be undone is still there.
    if !hosts[host].asksFirst { hosts[host].touched = false }
    hosts[host].isRetained = false
    hosts[host].setbacks = 0
    hosts[host].unconfirmed = 0
    hosts[host].reason = ""
    // A host of a wave that is still to come is begun with its wave.
    if waveOf(host) < wave || host < cursor { requeued.append(host) }
  }
}
