/// All that is needed to connect to one sshd, as OpenSSH resolves it.
struct SSHTarget: Hashable, Sendable {
  /// What becomes of a key that no known hosts file has.
  enum UnknownKeys: Hashable, Sendable {
    case refuse
    /// `StrictHostKeyChecking` is `no` or `accept-new`: taken for this connection; nothing is written.
    case accept
  }

  /// Where to connect.
  var address: String
  var port: Int
  var user: String
  /// `AF_UNSPEC`, `AF_INET` or `AF_INET6`.
  var family: Int32
  /// Candidates for key files, in order; not all of them need exist.
  var identityFiles: [String]
  /// Only keys named by `identityFiles` are asked of the agent.
  var identitiesOnly: Bool
  /// The agent's socket; nil for none.
  var agentSocket: String?
  var knownHostsFiles: [String]
  var hostKeyAlias: String?
  var unknownKeys: UnknownKeys
  /// The most that a TCP connection may take, where the configuration says.
  var connectTimeout: Duration?
  /// The jump hosts on the way, first one first.
  var jumps: [SSHTarget]

  /// For messages: `user@address:port`, with the way there.
  var place: String {
    let own = "\(user)@\(address.contains(":") ? "[\(address)]" : address):\(port)"
    return jumps.isEmpty
      ? own : own + " (through " + jumps.map { "\($0.address)" }.joined(separator: ", ") + ")"
  }

  func error(_ reason: SSHError.Reason) -> SSHError {
    SSHError(reason, place: place, address: address, port: port)
  }
}
