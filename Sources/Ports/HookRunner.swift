import RolloutModel

/// Runs a policy's playbooks around waves.
public protocol HookRunner: Sendable {
  /// Runs one to its end on these hosts, within ten minutes for every ten of them, and tells what happens as it happens. It
  /// passes only where every host has done all that was asked, those aside that the playbook is not for. A cancelled task ends
  /// it with all its processes.
  func run(
    _ playbook: PlannedPlaybook, on hosts: [Host], variables: [String: PlaybookValue],
    tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async -> HookOutcome
}
