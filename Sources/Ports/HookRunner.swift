import RolloutModel

/// Runs a policy's playbooks around waves.
public protocol HookRunner: Sendable {
  /// Runs one to its end on these hosts, within ten minutes for every ten of them; `note` tells people what is going on, and on
  /// which host where it is one. It passes only where every host has done all that was asked, those aside that the
  /// playbook is not for. A cancelled task ends it with all its processes.
  func run(
    _ playbook: PlannedPlaybook, on hosts: [Host], variables: [String: PlaybookValue],
    note: @escaping @Sendable (_ host: String?, _ text: String) -> Void
  ) async -> HookOutcome
}
