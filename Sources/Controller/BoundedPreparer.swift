import Ports
import RolloutModel

/// Lets only so many hosts be prepared at a time: each takes an Ansible of its own on this machine, and steps of hundreds of hosts
/// may be under way.
struct BoundedPreparer: HostPreparer {
  let inner: any HostPreparer
  private let places = Limiter(Self.atOnce)

  /// As many as `switchyard playbook run` has forks by default.
  static let atOnce = 10

  init(_ inner: any HostPreparer) { self.inner = inner }

  func prepare(
    _ host: Host, _ playbook: PlannedPlaybook, note: @escaping @Sendable (String) -> Void,
    tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async throws(StepFailure) {
    note("waits for its turn: \(Self.atOnce) hosts are prepared at a time")
    let result: Result<Void, StepFailure> = await places.run {
      do throws(StepFailure) {
        try await inner.prepare(host, playbook, note: note, tell: tell)
        return .success(())
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }
}
