/// What a door needs to know beside the hosts.
public struct SSHOptions: Hashable, Sendable {
  /// The host program to be pushed, on this machine.
  public var hostProgram: String
  /// OpenSSH's client, asked for each host's configuration with `-G`.
  public var sshProgram = "ssh"
  /// The ssh configuration file instead of the user's and the system's; nil for those.
  public var configurationFile: String?
  /// A folder for the tunnels' sockets, made with mode 0700; nil for a new one in the runtime or temporary folder.
  public var tunnelFolder: String?
  /// SSH handshakes in progress at once: they cost both sides computing time.
  public var handshakes = 20
  /// SSH handshakes in progress at once through one jump host.
  public var handshakesThroughJump = 8
  /// The most for one TCP connection, where the ssh configuration has no ConnectTimeout.
  public var connectWithin: Duration = .seconds(10)
  /// The most for the key exchange, and again for the authentication, and for starting a program or a tunnel.
  public var stepWithin: Duration = .seconds(20)
  /// While an answer is awaited, the other side is asked for a sign of life after so much silence, and is lost after
  /// three times as much.
  public var keepalive: Duration = .seconds(8)
  /// A connection that nobody used for so long is closed.
  public var idleWithin: Duration = .seconds(60)

  /// The defaults, with this host program.
  public init(hostProgram: String) { self.hostProgram = hostProgram }
}
