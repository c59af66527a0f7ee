import HostProtocol
import Ports
import RolloutModel
import SSHTransport
import Synchronization

/// The RPC door where an agent answers that is to be trusted, SSH otherwise.
public final class AutoDoor: Doors {
  private let rpc: RPCDoor
  private let ssh: SSHDoor
  private let channels = Mutex<[Host: AutoHostChannel]>([:])

  /// A choice between two doors, which the caller closes.
  public init(rpc: RPCDoor, ssh: SSHDoor) {
    self.rpc = rpc
    self.ssh = ssh
  }

  /// The channel to a host; opens nothing yet. The same one for the same host.
  public func channel(to host: Host) -> any HostChannel {
    channels.withLock { channels in
      if let channel = channels[host] { return channel }
      let channel = AutoHostChannel(rpc: rpc.rpcChannel(to: host), ssh: ssh.channel(to: host))
      channels[host] = channel
      return channel
    }
  }
}

/// One host's way: through its agent as long as that can be asked, over SSH from then on.
private actor AutoHostChannel: HostChannel {
  private let rpc: RPCHostChannel
  private let ssh: any HostChannel
  /// Why it is SSH; nil while it is not.
  private var fallback: String?

  init(rpc: RPCHostChannel, ssh: any HostChannel) {
    self.rpc = rpc
    self.ssh = ssh
  }

  func call(_ request: HostRequest, within limit: Duration) async throws(DoorError) -> HostReply {
    try await either { channel throws(DoorError) in try await channel.call(request, within: limit) }
  }

  func stage(
    _ release: IdentifiedRelease, from path: String, key: LeaseKey, progressWithin limit: Duration
  ) async throws(DoorError) -> HostReply {
    try await either { channel throws(DoorError) in
      try await channel.stage(release, from: path, key: key, progressWithin: limit)
    }
  }

  /// An agent tunnels to few ports: for another one SSH is asked, and the rest goes on through the agent.
  func insideRoute(host: String, port: Int) async throws(DoorError) -> ProbeRoute {
    if fallback == nil {
      do throws(DoorError) { return try await rpc.insideRoute(host: host, port: port) } catch {
        guard Self.isUnasked(error) else { throw error }
      }
    }
    return try await ssh.insideRoute(host: host, port: port)
  }

  /// As clients come, who may need a jump host: that is what SSH's configuration knows.
  func outsideRoute(port: Int) async throws(DoorError) -> ProbeRoute {
    do throws(DoorError) { return try await ssh.outsideRoute(port: port) } catch {
      // Hosts without SSH have no jump hosts either: the agent's own address it is.
      return try await rpc.outsideRoute(port: port)
    }
  }

  func close() async {
    await rpc.close()
    await ssh.close()
  }

  func way() async -> String? {
    if let fallback { "SSH: \(fallback)" } else { await rpc.way() }
  }

  func logSource() async -> RunLogSource { fallback == nil ? .rpc : .ssh }

  /// Only where nothing was asked yet does the other door ask the same.
  private func either<Value: Sendable>(
    _ body: @Sendable (any HostChannel) async throws(DoorError) -> Value
  ) async throws(DoorError) -> Value {
    if fallback == nil {
      do throws(DoorError) {
        return try await body(rpc)
      } catch {
        guard Self.isUnasked(error) else { throw error }
        fallback = error.message
      }
    }
    do throws(DoorError) {
      return try await body(ssh)
    } catch {
      // The agent may be back by the next time.
      if error.kind == .unreachable { fallback = nil }
      throw error
    }
  }

  private static func isUnasked(_ error: DoorError) -> Bool {
    [.unreachable, .refused, .unusable].contains(error.kind)
  }
}
