import RolloutModel

extension RolloutEngine {
  /// The rollout as people and programs see it. The cost grows with the fleet: made when somebody asks.
  public func snapshot() -> RolloutSnapshot {
    RolloutSnapshot(
      id: plan.id, agent: plan.agent.name.text, version: plan.release.version.text, policy: plan.policy.name,
      state: state, reason: reason, waves: plan.waves.indices.map(waveSnapshot),
      hosts: hosts.indices.map(hostSnapshot),
      counts: counts, failures: failures, failuresBorne: plan.policy.budget.fleet.ofFailures(hosts.count),
      startedAt: startedWall, endedAt: endedWall, hooks: hookNames)
  }

  private var hookNames: [String: String]? {
    guard let hooks = plan.policy.hooks else { return nil }
    var names: [String: String] = [:]
    for hook in WaveHook.allCases { names[hook.rawValue] = hooks[hook]?.playbook }
    return names
  }

  /// How a wave stands.
  public func waveState(_ place: Int) -> WaveSnapshot.State {
    if place < wave { return .done }
    if place > wave || !isWaveBegun { return .pending }
    switch mode {
    case .idle, .running, .paused, .awaitingApproval: return .running
    case .stopping, .finishing, .ended: return .failed
    }
  }

  private func waveSnapshot(_ place: Int) -> WaveSnapshot {
    let planned = plan.waves[place]
    return WaveSnapshot(
      name: planned.name, state: waveState(place), hosts: planned.range.map { plan.hosts[$0].name },
      batch: planned.batch,
      soak: planned.soak, approve: planned.approve, hook: hookSnapshot(of: place))
  }

  /// One host as people and programs see it.
  public func hostSnapshot(_ host: Int) -> HostSnapshot {
    let run = hosts[host]
    // A partial policy leaves the end of the fleet in no wave.
    let wave = host < plannedHosts ? plan.waves[waveOf(host)].name : ""
    var phases: [String: Double] = [:]
    for time in run.spent { phases[time.phase.rawValue] = Double(time.milliseconds) / 1000 }
    let isKnown = !run.known.architecture.isEmpty && !run.isUnknown
    let new = plan.release.version.text
    let live: String? = run.isOnNew || run.phase == .promoted ? new : run.known.fromVersion
    let slot: String? =
      run.isOnNew ? run.known.candidate.rawValue : (isKnown ? run.known.from?.rawValue : nil)
    return HostSnapshot(
      host: plan.hosts[host].name, wave: wave, state: run.phase, liveSlot: slot,
      liveVersion: isKnown ? live : nil, retainedVersion: run.isOnNew ? run.known.fromVersion : nil,
      reason: run.reason, lastLines: run.lastLines, phases: phases,
      since: run.phase.isInFlight ? run.sinceWall : nil)
  }
}
