import HTTPTypes
import NIOCore
import RolloutModel

/// A Unix socket behind which systemd starts a program of the host's for each connection.
struct HostSocket: Sendable {
  let path: String
  /// How long connecting may take.
  let connecting: Duration
  /// The code of the error where it can't be reached.
  var code = "host_unavailable"
  /// Whose it is.
  var what = "the host program's socket"
  /// What listens there.
  var unit = "switchyard-host.socket"

  /// A connection, on the loop of the client's.
  func connect(for channel: any Channel) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
    do {
      let address = try SocketAddress(unixDomainSocketPath: path)
      return try await Dial.connect(to: address, for: channel, within: connecting)
    } catch {
      throw AgentError(
        .serviceUnavailable, code,
        "\(what) \(escapedForTerminal(path)) can't be reached: "
          + escapedForTerminal(Dial.reason(error)),
        hint: "start \(unit) on the host, and let the agent's user into its group")
    }
  }
}
