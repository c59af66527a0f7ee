import EventLoop
import Glibc
import Ports
import RolloutModel
import SSHTransport
import Synchronization

/// The RPC door: the way to every host whose agent answers.
public final class RPCDoor: Doors {
  private struct Contents {
    var channels: [Host: RPCHostChannel] = [:]
    var tunnels: [String: RPCTunnel] = [:]
  }

  let client: RPCClient
  let pool: BlockingPool
  private let folder: String
  private let contents = Mutex(Contents())

  /// A door with these settings, whose files are read now. Its sockets lie in `folder`, which is the caller's own. Agents of which
  /// `isRevoked` is true are told nothing.
  public init(
    _ settings: RPCSettings, isRevoked: RevokedAgents? = nil, loop: EventLoop, folder: String
  ) throws(DoorError) {
    client = try RPCClient(settings, isRevoked: isRevoked, loop: loop)
    pool = BlockingPool(threads: 4)
    self.folder = folder
  }

  /// The channel to a host; opens nothing yet. The same one for the same host.
  public func channel(to host: Host) -> any HostChannel { rpcChannel(to: host) }

  /// The way to what agents do themselves.
  public var caller: any AgentCaller { RPCAgentCaller(client: client, pool: pool) }

  func rpcChannel(to host: Host) -> RPCHostChannel {
    contents.withLock { contents in
      if let channel = contents.channels[host] { return channel }
      let channel = RPCHostChannel(host: host, door: self)
      contents.channels[host] = channel
      return channel
    }
  }

  func tunnel(to address: String, port: Int) -> RPCTunnel {
    contents.withLock { contents in
      let key = "\(address) \(port)"
      if let tunnel = contents.tunnels[key] { return tunnel }
      let path = "\(folder)/rpc-\(contents.tunnels.count)"
      let tunnel = RPCTunnel(client, address: address, port: port, path: path)
      contents.tunnels[key] = tunnel
      return tunnel
    }
  }

  /// Closes every conversation and tunnel, and ends the door's threads. The door can't be used again.
  public func close() async {
    let closing = contents.withLock { contents in
      defer { contents = Contents() }
      return contents
    }
    for channel in closing.channels.values { await channel.close() }
    for tunnel in closing.tunnels.values { await tunnel.close() }
    pool.end()
    await client.shutDown()
  }
}
