import RolloutModel

/// Runs the playbook that prepares a host for an agent.
public protocol HostPreparer: Sendable {
  /// Runs it to its end on one host, within ten minutes; `note` tells people what is waited for, and `tell` what the playbook
  /// does, as it does it. Done twice it gives the result of once, as far as the playbook does. Errors: it failed there, or is
  /// no longer what the plan has frozen.
  func prepare(
    _ host: Host, _ playbook: PlannedPlaybook, note: @escaping @Sendable (String) -> Void,
    tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async throws(StepFailure)
}
