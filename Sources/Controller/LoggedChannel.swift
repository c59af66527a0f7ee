import HostProtocol
import Ports
import RolloutModel

/// A door whose conversation with the host is told to the run's log: what was asked, how long it took, and what was refused or lost.
struct LoggedChannel: HostChannel {
  let inner: any HostChannel
  let log: HostLog
  let time: any Timekeeper

  func call(_ request: HostRequest, within: Duration) async throws(DoorError) -> HostReply {
    try await told(request.word) { () async throws(DoorError) in try await inner.call(request, within: within)
    }
  }

  func stage(
    _ release: IdentifiedRelease, from path: String, key: LeaseKey, progressWithin: Duration
  ) async throws(DoorError) -> HostReply {
    try await told("stage \(release.manifest.version) (\(release.digest.short))") {
      () async throws(DoorError) in
      try await inner.stage(release, from: path, key: key, progressWithin: progressWithin)
    }
  }

  func insideRoute(host: String, port: Int) async throws(DoorError) -> ProbeRoute {
    try await inner.insideRoute(host: host, port: port)
  }

  func outsideRoute(port: Int) async throws(DoorError) -> ProbeRoute {
    try await inner.outsideRoute(port: port)
  }

  func close() async { await inner.close() }

  func way() async -> String? { await inner.way() }

  func logSource() async -> RunLogSource { await inner.logSource() }

  private func told(
    _ what: String, _ body: () async throws(DoorError) -> HostReply
  ) async throws(DoorError) -> HostReply {
    let began = time.now
    do throws(DoorError) {
      let reply = try await body()
      let end = if case .failed(let failure) = reply { "refused: \(failure.message)" } else { "done" }
      await log.write(inner.logSource(), "\(what): \(end) (\(time.now.since(began)))")
      return reply
    } catch {
      await log.write(
        inner.logSource(), "\(what): \(error.kind.rawValue) after \(time.now.since(began)): \(error.message)")
      throw error
    }
  }
}

extension HostRequest {
  /// What is asked, without its values.
  fileprivate var word: String { Mirror(reflecting: self).children.first?.label ?? "request" }
}
