import HTTPTypes
import NIOCore
import RolloutModel

/// A Unix socket behind which systemd starts a program of the host's for each connection.
struct HostSocket: Sendable {
  let path: String
  /// How long connecting may take.
  let connecting: Duration

  /// A connection, on the loop of the client's.
  func connect(for channel: any Channel) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
    do {
      let address = try SocketAddress(unixDomainSocketPath: path)
      return try await Dial.connect(to: address, for: channel, within: connecting)
    } catch {
      throw AgentError(
        .serviceUnavailable, "host_unavailable",
        "the host program's socket \(escapedForTerminal(path)) can't be reached: "
          + escapedForTerminal(Dial.reason(error)),
        hint: "start switchyard-host.socket on the host, and let the agent's user into its group")
    }
  }
}
