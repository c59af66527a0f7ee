import Glibc
import NIOCore
import NIOPosix
import Ports

/// A listening Unix socket whose connections lead through an agent to one port of its host's loopback.
///
/// A connection that the far side refuses is closed at once. When there is no way to the agent itself, the socket goes away
/// as well, before that connection is closed: so the two can be told apart. Whoever asks for the tunnel anew has it back.
actor RPCTunnel {
  private nonisolated let client: RPCClient
  private nonisolated let address: String
  private nonisolated let port: Int
  private nonisolated let path: String
  private var listener: (any Channel)?

  init(_ client: RPCClient, address: String, port: Int, path: String) {
    self.client = client
    self.address = address
    self.port = port
    self.path = path
  }

  /// The socket, which listens.
  func socket() async throws(DoorError) -> String {
    if listener?.isActive == true { return path }
    do {
      let bound = try await ServerBootstrap(group: client.group)
        .childChannelOption(.allowRemoteHalfClosure, value: true)
        .childChannelInitializer { [weak self] channel in
          channel.eventLoop.makeCompletedFuture {
            let near = try ByteChannel.made(of: channel)
            Task { await self?.carry(near) ?? near.close() }
          }
        }
        .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
      // Somebody may have been here meanwhile.
      if let other = listener, other.isActive {
        bound.close(promise: nil)
      } else {
        listener = bound
      }
      return path
    } catch {
      throw DoorError(.local, "a tunnel's socket \(path): \(error)")
    }
  }

  /// Takes no new connections.
  func close() {
    unlink(path)
    listener?.close(promise: nil)
    listener = nil
  }

  private func carry(_ near: ByteChannel) async {
    do throws(RPCClient.Refusal) {
      let far = try await client.open("/v1/tunnel?port=\(port)", at: address)
      await ByteChannel.join(near, far)
    } catch {
      if case .door = error { close() }
      near.close()
    }
  }
}
