import RolloutModel

/// A hook that is being run.
struct HookUnderWay: Hashable, Sendable, Codable {
  var run: HookRun
  /// The hosts that it is run on.
  var hosts: [Int]
  /// Its outcome says nothing any more: the rollout stopped meanwhile, or the hosts are others now.
  var isDropped = false
  /// When it began, on the wall's clock.
  var sinceWall: Int64
}

/// Playbooks around waves. While one is being run no host is begun, so that none is in flight either.
extension RolloutEngine {
  /// Whether the current wave may go on as far as this hook is concerned; where it has not been run, it is begun.
  mutating func isPast(_ wanted: WaveHook) -> Bool {
    guard plan.policy.hooks?[wanted] != nil, passed != wanted, passed != .afterWave else { return true }
    let chosen = hosts(of: wanted)
    guard !chosen.isEmpty else { return true }
    hookRuns += 1
    let run = HookRun(wanted, wave: wave, number: hookRuns)
    hook = HookUnderWay(run: run, hosts: chosen, sinceWall: wall)
    effects.append(.runHook(run, hosts: chosen))
    return false
  }

  /// The hosts of the current wave that a hook is for.
  private func hosts(of hook: WaveHook) -> [Int] {
    let phase: HostPhase =
      switch hook {
      case .beforeWave: .pending
      case .afterWave: .promoted
      }
    return plan.waves[wave].range.filter { hosts[$0].phase == phase }
  }

  mutating func conclude(_ run: HookRun, _ outcome: HookOutcome) {
    guard let ended = hook, ended.run == run else { return }
    hook = nil
    guard !ended.isDropped else { return }
    switch outcome {
    case .passed: passed = run.hook
    case .failed(let why, let hint): fail(run, hint.isEmpty ? why : "\(why); \(hint)")
    case .cancelled: fail(run, "it was ended early")
    }
  }

  /// It proves nothing against the release: nobody is charged, and a person says how it goes on.
  private mutating func fail(_ run: HookRun, _ why: String) {
    let playbook = escapedForTerminal(plan.policy.hooks?[run.hook]?.playbook ?? "")
    pause("\(run.hook.rawValue) \(playbook) of wave \(plan.waves[wave].name): \(why)")
  }

  /// Ends the hook early: it is run anew where the rollout still comes by.
  mutating func dropHook() {
    guard let running = hook, !running.isDropped else { return }
    hook?.isDropped = true
    effects.append(.cancelHook(running.run))
  }

  /// A person's word may leave hosts out, or bring some back: then the hook is run on those that it is for now.
  mutating func dropHookOfOtherHosts() {
    guard let running = hook, !running.isDropped else { return }
    if hosts(of: running.run.hook) != running.hosts || !requeued.isEmpty
      || running.run.hook == .afterWave && open[wave] > 0
    {
      dropHook()
    }
  }

  /// Whether a host of the current wave was begun or may be begun: not as long as it waits for approval or its first hook.
  var isWaveBegun: Bool {
    guard isWaveOpen else { return false }
    let isFirstPending = plan.policy.hooks?.beforeWave != nil && passed == nil
    return !isFirstPending || cursor > plan.waves[wave].first
  }

  /// The hook that the wave waits for.
  func hookSnapshot(of place: Int) -> HookSnapshot? {
    guard let running = hook, !running.isDropped, running.run.wave == place else { return nil }
    return HookSnapshot(
      hook: running.run.hook, playbook: plan.policy.hooks?[running.run.hook]?.playbook ?? "",
      hosts: running.hosts.count, since: running.sinceWall)
  }
}
