import HTTPTypes
import NIOCore
import RolloutModel

/// A socket-activated service on this host that the agent carries bytes to: the agent itself has no rights.
struct LocalSocket: Sendable {
  let path: String
  /// How long connecting may take.
  let connecting: Duration
  /// The error's code where it can't be reached, what it is called there, and the unit to start.
  private let code: String
  private let title: String
  private let unit: String

  /// The host program's.
  static func host(_ path: String, connecting: Duration) -> LocalSocket {
    LocalSocket(
      path: path, connecting: connecting, code: "host_unavailable", title: "the host program's socket",
      unit: "switchyard-host.socket")
  }

  /// That of playbooks' runs.
  static func playbooks(_ path: String, connecting: Duration) -> LocalSocket {
    LocalSocket(
      path: path, connecting: connecting, code: "playbooks_unavailable", title: "the playbooks' socket",
      unit: "switchyard-playbook.socket")
  }

  /// A connection, on the loop of the client's.
  func connect(for channel: any Channel) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
    do {
      let address = try SocketAddress(unixDomainSocketPath: path)
      return try await Dial.connect(to: address, for: channel, within: connecting)
    } catch {
      throw AgentError(
        .serviceUnavailable, code,
        "\(title) \(escapedForTerminal(path)) can't be reached: \(escapedForTerminal(Dial.reason(error)))",
        hint: "start \(unit) on the host, and let the agent's user into its group")
    }
  }
}
