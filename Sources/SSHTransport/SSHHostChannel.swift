import EventLoop
import HostProtocol
import Ports
import RolloutModel

/// The SSH door to one host.
public final class SSHHostChannel: HostChannel {
  private unowned let door: SSHDoor
  private let opener: SSHOpener
  let program: ProgramChannel

  init(host: Host, mark: String, door: SSHDoor) {
    self.door = door
    opener = SSHOpener(host: host, mark: mark, door: door)
    program = ProgramChannel(
      opener: opener, loop: door.loop, pool: door.pool, idleWithin: door.options.idleWithin)
  }

  /// Sends a request and awaits its reply; the time counts from the moment when the conversation is open.
  public func call(_ request: HostRequest, within limit: Duration) async throws(DoorError) -> HostReply {
    try await program.call(request, within: limit)
  }

  /// Announces the archive, sends what the host lacks of it, and returns the reply to its end.
  public func stage(
    _ release: IdentifiedRelease, from path: String, key: LeaseKey, progressWithin limit: Duration
  ) async throws(DoorError) -> HostReply {
    try await program.stage(release, from: path, key: key, progressWithin: limit)
  }

  /// A tunnel through the host itself.
  public func insideRoute(host address: String, port: Int) async throws(DoorError) -> ProbeRoute {
    try await tunnel(through: opener.link(), to: address, port: port)
  }

  /// Straight to the host's address, or a tunnel through the last jump host.
  public func outsideRoute(port: Int) async throws(DoorError) -> ProbeRoute {
    let link = try await opener.link()
    let address = link.target.address
    guard let jump = link.jump else { return .direct(address: address, port: port) }
    return try await tunnel(through: jump, to: address, port: port)
  }

  /// Ends the conversation, and the connection where nothing else goes over it.
  public func close() async { await program.close() }

  /// Through a connection that is seen to live: so what a probe finds at the tunnel's socket is the far side's doing.
  private func tunnel(
    through link: HostLink, to address: String, port: Int
  ) async throws(DoorError) -> ProbeRoute {
    do throws(SSHError) { _ = try await link.connection() } catch { throw DoorError(error, isAsked: false) }
    let socket = try await door.tunnel(through: link, to: address, port: port)
    return .tunnel(socket: socket, address: address, port: port)
  }
}
