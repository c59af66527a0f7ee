import RolloutModel

/// What is known of a rollout's hooks: what they really came to, whatever a controller makes of it.
final class HookJudge {
  private let plan: Plan
  /// By waves: whether the last run of the hook has passed, and nothing was begun since.
  private var hasPassed: [WaveHook: [Bool]] = [:]
  /// The highest run whose intent is durable.
  private var durable = 0

  init(_ plan: Plan) {
    self.plan = plan
    for hook in WaveHook.allCases { hasPassed[hook] = plan.waves.map { _ in false } }
  }

  func isDurable(_ run: HookRun) { durable = max(durable, run.number) }

  /// A run begins; the answer is what is wrong with that.
  func begin(_ run: HookRun) -> String? {
    hasPassed[run.hook]?[run.wave] = false
    guard run.number > durable else { return nil }
    return "\(run.hook.rawValue) of wave \(run.wave) begins before its intent is durable"
  }

  func end(_ run: HookRun, _ outcome: HookOutcome) { hasPassed[run.hook]?[run.wave] = outcome == .passed }

  /// Why no host of a wave may be begun; nil where one may. Waves that promoted nobody have nothing to look at afterwards.
  func obstacle(wave: Int, isOnNew: (Int) -> Bool) -> String? {
    guard let hooks = plan.policy.hooks else { return nil }
    if hooks.beforeWave != nil, plan.waves.indices.contains(wave), hasPassed[.beforeWave]?[wave] != true {
      return "although its before_wave has not passed"
    }
    guard hooks.afterWave != nil else { return nil }
    for place in 0..<wave where hasPassed[.afterWave]?[place] != true {
      guard plan.waves[place].range.contains(where: isOnNew) else { continue }
      return "although after_wave of wave \(place) has not passed"
    }
    return nil
  }
}
