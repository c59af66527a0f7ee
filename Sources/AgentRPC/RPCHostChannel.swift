import EventLoop
import HostProtocol
import Ports
import RolloutModel
import SSHTransport

/// The RPC door to one host.
final class RPCHostChannel: HostChannel {
  private let door: RPCDoor
  private let address: String
  private let program: ProgramChannel

  init(host: Host, door: RPCDoor) {
    self.door = door
    address = host.address
    program = ProgramChannel(
      opener: RPCOpener(name: host.name, address: host.address, client: door.client), loop: door.client.loop,
      pool: door.pool, idleWithin: door.client.settings.idleWithin)
  }

  func call(_ request: HostRequest, within limit: Duration) async throws(DoorError) -> HostReply {
    try await program.call(request, within: limit)
  }

  func stage(
    _ release: IdentifiedRelease, from path: String, key: LeaseKey, progressWithin limit: Duration
  ) async throws(DoorError) -> HostReply {
    try await program.stage(release, from: path, key: key, progressWithin: limit)
  }

  /// A tunnel through the agent, which allows its own slots' ports on loopback.
  func insideRoute(host: String, port: Int) async throws(DoorError) -> ProbeRoute {
    guard host == "127.0.0.1" else {
      throw DoorError(.unusable, "the agent at \(address) tunnels to its own host alone, not to \(host)")
    }
    return .tunnel(
      socket: try await door.tunnel(to: address, port: port).socket(), address: host, port: port)
  }

  func outsideRoute(port: Int) async throws(DoorError) -> ProbeRoute { .direct(address: address, port: port) }

  func close() async { await program.close() }

  func logSource() async -> RunLogSource { .rpc }

  func way() async -> String? { "RPC, the agent at \(door.client.place(address))" }
}

/// Begins conversations through the agent.
private struct RPCOpener: ProgramOpener {
  let name: String
  let address: String
  let client: RPCClient

  func begin() async throws(DoorError) -> Conversation {
    let channel: ByteChannel
    do throws(RPCClient.Refusal) { channel = try await client.open("/v1/host", at: address) } catch {
      switch error {
      case .door(let error): throw error
      case .farSide(_, let words):
        throw DoorError(.unusable, "\(client.place(address)): no host program: \(words)")
      }
    }
    let place = client.place(address)
    let conversation = Conversation(RPCStream(channel: channel, loop: client.loop, place: place))
    do throws(Conversation.Failure) {
      try await conversation.greet(within: client.settings.stepWithin)
      return conversation
    } catch {
      let failure = await conversation.doorError(error, within: client.settings.stepWithin)
      await conversation.end()
      guard failure.kind == .garbled else { throw failure.beforeAsking }
      throw DoorError(
        .unusable, failure.message, hint: "install the host program of version \(switchyardVersion) there")
    }
  }

  func release() async {}
}
