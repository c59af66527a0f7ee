import RolloutModel

/// How the fleet is walked: waves, batches, budgets, and the end.
extension RolloutEngine {
  /// Called after each event: starts what may start, opens the next wave, ends what has ended.
  mutating func settle() {
    switch mode {
    case .running: walk()
    case .stopping(let ending):
      guard underWay == 0, hook == nil else { return }
      switch ending {
      case .halt: finish(.halted)
      case .abort: finish(.aborted)
      case .rollback:
        finish(counts.quarantined > 0 || isAnyTouchedUnreachable ? .rollbackIncomplete : .rolledBack)
      }
    case .finishing(let state):
      guard underWay == 0 else { return }
      rest(state)
    case .idle, .paused, .awaitingApproval, .ended: break
    }
  }

  private var isAnyTouchedUnreachable: Bool {
    counts.unreachable > 0 && hosts.contains(where: { $0.phase == .unreachable && $0.touched })
  }

  private mutating func walk() {
    while mode == .running, hook == nil {
      guard wave < plan.waves.count else {
        guard areRequeuedDone(batch: plan.waves.last?.batch ?? 1) else { return }
        finish(counts.promoted == plannedHosts ? .promoted : .promotedWithExceptions)
        return
      }
      let current = plan.waves[wave]
      if !isWaveOpen {
        // Hosts of earlier waves that a person wants tried again come before the next wave.
        guard areRequeuedDone(batch: plan.waves[max(wave - 1, 0)].batch) else { return }
        if current.approve {
          mode = .awaitingApproval
          reason = "wave \(current.name) waits for approval"
          effects.append(.rest(.awaitingApproval))
          return
        }
        isWaveOpen = true
      }
      guard isPast(.beforeWave) else { return }
      beginPending(upTo: current.batch)
      if open[wave] == 0, counts.inFlight == 0, requeued.isEmpty {
        guard isPast(.afterWave) else { return }
        closeWave()
      } else {
        pauseIfStuck(batch: current.batch)
        return
      }
    }
  }

  /// How many hosts the waves have; a partial policy leaves some of the fleet out.
  var plannedHosts: Int { plan.waves.last?.range.upperBound ?? 0 }

  /// Begins hosts that are to be begun anew while no wave is open; true once all of them are at an end.
  private mutating func areRequeuedDone(batch: Int) -> Bool {
    beginPending(upTo: batch)
    if counts.inFlight == 0, requeued.isEmpty { return true }
    pauseIfStuck(batch: batch)
    return false
  }

  /// Where no host may start because others fill the batch for good, a person must look.
  private mutating func pauseIfStuck(batch: Int) {
    guard counts.inFlight == 0, stuck >= batch else { return }
    pause(
      "\(stuck) hosts whose undo could not be proved fill the batch of \(batch); retry or clear them first")
  }

  private mutating func closeWave() {
    let current = plan.waves[wave]
    let isLeftOut = current.range.allSatisfy { hosts[$0].phase == .skipped }
    if proven[wave] == 0, !isLeftOut, wave + 1 < plan.waves.count, !isUnprovenAccepted {
      pause(
        "no host of wave \(current.name) was promoted, so it proves nothing; resume goes on without its proof"
      )
      isUnprovenAccepted = true
      return
    }
    isUnprovenAccepted = false
    wave += 1
    passed = nil
    isWaveOpen = false
    if wave < plan.waves.count { cursor = plan.waves[wave].first }
  }

  /// Begins hosts while the batch has room.
  private mutating func beginPending(upTo batch: Int) {
    requeued.removeAll(where: { hosts[$0].phase != .pending })
    while counts.inFlight + stuck < batch {
      if let host = requeued.first {
        requeued.removeFirst()
        if hosts[host].phase == .pending { begin(host) }
        continue
      }
      guard wave < plan.waves.count, isWaveOpen, cursor < plan.waves[wave].range.upperBound else { return }
      let host = cursor
      cursor += 1
      if hosts[host].phase == .pending { begin(host) }
    }
  }

  mutating func begin(_ host: Int) {
    hosts[host].lost = 0
    hosts[host].lostSince = nil
    hosts[host].sharedFaults = 0
    hosts[host].sharedSince = nil
    hosts[host].failedRestores = 0
    hosts[host].lastLines = []
    if hosts[host].asksFirst {
      hosts[host].asksFirst = false
      enter(host, .preflight)
      perform(host, .reconcile)
      return
    }
    hosts[host].tries += 1
    let flip = "\(plan.id)-\(host)-\(hosts[host].tries)"
    if hosts[host].touched {
      // An undo must know who owned traffic before the host was changed.
      hosts[host].known.flip = flip
      hosts[host].known.isPromoted = false
      hosts[host].known.bootID = ""
      hosts[host].known.invocation = ""
    } else {
      hosts[host].known = HostKnowledge(flip: flip)
    }
    hosts[host].known.again = hosts[host].again
    perform(host, .preflight)
  }

  // MARK: Budgets

  /// Counts a host's failure, once, and stops the rollout where a budget is breached.
  mutating func charge(_ host: Int) {
    guard !hosts[host].isCharged else { return }
    hosts[host].isCharged = true
    let place = waveOf(host)
    failures += 1
    failuresByWave[place] += 1
    let planned = plan.waves[place]
    let borne = borne(in: place)
    let because = "\(plan.hosts[host].name): \(hosts[host].reason)"
    if failuresByWave[place] > borne {
      // Which of the budgets it was can't be told from the name of a first wave that isn't called canary.
      let isNamed = place > 0 || planned.name == "canary"
      let wave = isNamed ? "wave \(planned.name)" : "wave \(planned.name) (budget canary)"
      breach("\(failuresByWave[place]) failed in \(wave), \(borne) borne (\(because))")
    } else if failures > borneInFleet {
      breach("\(failures) failed in the fleet, \(borneInFleet) borne (\(because))")
    }
  }

  /// Failures borne in one wave; the first one is the canary.
  private func borne(in place: Int) -> Int {
    let amount = place == 0 ? plan.policy.budget.canary : plan.policy.budget.wave
    return amount.ofFailures(plan.waves[place].count)
  }

  private var borneInFleet: Int { plan.policy.budget.fleet.ofFailures(hosts.count) }

  private var borneUnreachable: Int { plan.policy.budget.unreachable.ofFailures(hosts.count) }

  /// Whether a budget is breached by what is charged now.
  var isOverBudget: Bool {
    failures > borneInFleet || unreachableBeforeStart > borneUnreachable
      || plan.waves.indices.contains(where: { failuresByWave[$0] > borne(in: $0) })
  }

  mutating func uncharge(_ host: Int) {
    guard hosts[host].isCharged else { return }
    hosts[host].isCharged = false
    failures -= 1
    failuresByWave[waveOf(host)] -= 1
  }

  /// Hosts that can't be reached count against their own budget alone. More of them than it bears halt the rollout and never
  /// roll it back: they may be the controller's own network.
  mutating func chargeUnreachable() {
    unreachableBeforeStart += 1
    guard unreachableBeforeStart > borneUnreachable, isGoingOn else { return }
    let hosts = unreachableBeforeStart == 1 ? "host" : "hosts"
    reason = "\(unreachableBeforeStart) \(hosts) can't be reached, \(borneUnreachable) borne"
    stop(.halt, undo: HostRun.Undo(refuse: false, reason: "the rollout was halted: \(reason)"))
  }

  private mutating func breach(_ why: String) {
    guard isGoingOn else { return }
    reason = why
    let undo = HostRun.Undo(
      refuse: isReleaseBlamed, reason: "the rollout's budget is breached: \(why)")
    stop(plan.policy.onBreach == .rollback ? .rollback : .halt, undo: undo)
  }

  /// Whether hosts may still be begun, now or after a person's word.
  var isGoingOn: Bool {
    switch mode {
    case .idle, .running, .paused, .awaitingApproval: true
    case .stopping, .finishing, .ended: false
    }
  }

  // MARK: Stops

  mutating func pause(_ why: String) {
    guard mode == .running else { return }
    mode = .paused
    reason = why
    dropHook()
    effects.append(.rest(.paused))
  }

  /// No new starts. What is in flight is undone; promoted hosts are undone by a rollback alone.
  mutating func stop(_ ending: Ending, undo: HostRun.Undo) {
    mode = .stopping(ending)
    requeued.removeAll()
    dropHook()
    for host in hosts.indices {
      switch hosts[host].phase {
      case .preflight, .staging, .starting, .gating, .flipping, .soaking: wantUndone(host, undo)
      case .pending where hosts[host].touched: wantUndone(host, undo)
      case .promoted where ending == .rollback && hosts[host].touched: wantUndone(host, undo)
      case .unreachable where ending == .rollback && hosts[host].touched: wantUndone(host, undo)
      default: break
      }
    }
  }

  mutating func wantUndone(_ host: Int, _ undo: HostRun.Undo) {
    if let step = hosts[host].step {
      if case .restore = step { return }
      hosts[host].undo = undo
      effects.append(.cancel(host: host))
    } else {
      beginRestore(host, undo)
    }
  }

  private mutating func finish(_ state: RolloutState) {
    mode = .finishing(state)
    for host in hosts.indices
    where hosts[host].phase == .promoted && hosts[host].touched && !hosts[host].isRetained {
      hosts[host].lost = 0
      perform(host, .retain)
    }
    if underWay == 0 { rest(state) }
  }

  private mutating func rest(_ state: RolloutState) {
    mode = .ended(state)
    endedWall = wall
    effects.append(.rest(state))
  }
}
