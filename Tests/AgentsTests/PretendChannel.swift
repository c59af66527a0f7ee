import HostProtocol
import Ports
import RolloutModel

/// A host that is asked, and brought nothing.
protocol PretendChannel: HostChannel {}

extension PretendChannel {
  func stage(
    _ release: IdentifiedRelease, from path: String, key: LeaseKey, progressWithin: Duration
  ) async throws(DoorError) -> HostReply { throw DoorError(.garbled, "not asked for here") }

  func insideRoute(host: String, port: Int) async throws(DoorError) -> ProbeRoute {
    .direct(address: host, port: port)
  }

  func outsideRoute(port: Int) async throws(DoorError) -> ProbeRoute {
    .direct(address: "192.0.2.7", port: port)
  }

  func close() async {}
}
