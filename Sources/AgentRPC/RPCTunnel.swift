import Glibc
import NIOCore
import NIOPosix
import Ports

/// A listening Unix socket whose connections lead through an agent to one port of its host's loopback.
///
/// A connection that the far side refuses is closed at once. When there is no way to the agent itself, the socket goes away
/// as well, before that connection is closed: so the two can be told apart. It comes back when there is a way again.
actor RPCTunnel {
  private nonisolated let client: RPCClient
  private nonisolated let address: String
  private nonisolated let port: Int
  private nonisolated let path: String
  private var listener: (any Channel)?
  private var isBinding = false
  private var isRecovering = false
  private var isClosed = false

  /// The first and the longest wait between two tries to reach the agent again.
  private static let recovery: (first: Duration, longest: Duration) = (.seconds(1), .seconds(30))

  init(_ client: RPCClient, address: String, port: Int, path: String) {
    self.client = client
    self.address = address
    self.port = port
    self.path = path
  }

  /// The socket, which listens, once the agent was seen to open such a stream, or to say that nobody listens there.
  func socket() async throws(DoorError) -> String {
    try await seeWay()
    try await listen()
    return path
  }

  /// Takes no new connections.
  func close() {
    isClosed = true
    stopListening()
  }

  private func seeWay() async throws(DoorError) {
    do throws(RPCClient.Refusal) {
      try await client.open("/v1/tunnel?port=\(port)", at: address).close()
    } catch {
      if case .door(let error) = error { throw error }
    }
  }

  private func listen() async throws(DoorError) {
    // Whoever binds it now has it ready before a probe asks.
    guard listener == nil, !isBinding, !isClosed else { return }
    isBinding = true
    defer { isBinding = false }
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
      listener = bound
      if isClosed { stopListening() }
    } catch {
      throw DoorError(.local, "a tunnel's socket \(path): \(error)")
    }
  }

  private func stopListening() {
    guard let ending = listener else { return }
    listener = nil
    unlink(path)
    ending.close(promise: nil)
  }

  private func carry(_ near: ByteChannel) async {
    do throws(RPCClient.Refusal) {
      let far = try await client.open("/v1/tunnel?port=\(port)", at: address)
      await ByteChannel.join(near, far)
    } catch {
      if case .door = error { recover(after: Self.recovery.first) }
      near.close()
    }
  }

  // MARK: Without a way to the agent

  private func recover(after wait: Duration) {
    stopListening()
    guard !isRecovering, !isClosed else { return }
    isRecovering = true
    Task {
      // Ended early, it is tried early.
      try? await Task.sleep(for: wait)
      await tryAgain(after: wait)
    }
  }

  private func tryAgain(after wait: Duration) async {
    isRecovering = false
    // Whoever asked for the tunnel meanwhile has opened it.
    guard listener == nil, !isClosed else { return }
    do throws(DoorError) {
      try await seeWay()
      try await listen()
    } catch {
      recover(after: min(wait * 2, Self.recovery.longest))
    }
  }
}
