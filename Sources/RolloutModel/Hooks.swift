/// When a wave runs a playbook.
public enum WaveHook: String, Hashable, Sendable, Codable, CaseIterable {
  /// On the wave's hosts, before any of them is begun.
  case beforeWave = "before_wave"
  /// On the wave's promoted hosts, before the next wave or the rollout's end.
  case afterWave = "after_wave"
}

/// The playbooks that a policy runs around each wave.
public struct WaveHooks: Hashable, Sendable, Codable {
  /// Run before a wave; nil for none.
  public var beforeWave: PlannedPlaybook?
  /// Run after a wave; nil for none.
  public var afterWave: PlannedPlaybook?

  /// Hooks from their playbooks.
  public init(beforeWave: PlannedPlaybook?, afterWave: PlannedPlaybook?) {
    self.beforeWave = beforeWave
    self.afterWave = afterWave
  }

  /// The playbook of a hook; nil where there is none.
  public subscript(hook: WaveHook) -> PlannedPlaybook? {
    get {
      switch hook {
      case .beforeWave: beforeWave
      case .afterWave: afterWave
      }
    }
    set {
      switch hook {
      case .beforeWave: beforeWave = newValue
      case .afterWave: afterWave = newValue
      }
    }
  }
}

/// One run of a wave's hook.
public struct HookRun: Hashable, Sendable, Codable {
  /// Which hook.
  public var hook: WaveHook
  /// The wave's place in the plan.
  public var wave: Int
  /// Names the run among the rollout's, from 1: an outcome of another run than the one under way is ignored.
  public var number: Int

  /// A run from its parts.
  public init(_ hook: WaveHook, wave: Int, number: Int) {
    self.hook = hook
    self.wave = wave
    self.number = number
  }
}

/// What came of a hook's run.
public enum HookOutcome: Hashable, Sendable, Codable {
  /// Every host has done all that was asked.
  case passed
  /// A host has not, or it could not be run at all: where and why, escaped for a terminal, and what to do.
  case failed(reason: String, hint: String)
  /// It was ended early because the rollout asked for it.
  case cancelled
}
