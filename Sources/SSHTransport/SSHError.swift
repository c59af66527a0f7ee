import RolloutModel

/// Why an SSH connection, or something on it, did not come about or came to its end.
public struct SSHError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was being done.
  public enum Phase: String, Hashable, Sendable {
    /// Asking OpenSSH for the configuration.
    case configuring
    /// Looking up the address.
    case resolving
    /// The TCP connection, or the one through a jump host.
    case connecting
    /// Key exchange and the host's key.
    case handshake
    /// Proving who we are.
    case authenticating
    /// Starting a program or a tunnel.
    case opening
    /// Bringing the host program to the host.
    case pushing
    /// A call on the open connection.
    case calling
  }

  /// What went wrong.
  public enum Reason: Error, Hashable, Sendable {
    /// OpenSSH refuses the configuration, or it asks for what this door can't do.
    case configuration(String)
    /// The name has no address.
    case resolve(String)
    /// No TCP connection: the system's words.
    case connect(String)
    /// The deadline passed.
    case deadline(Phase)
    /// No entry of the known hosts files is about this key: type, fingerprint, what is known instead.
    case hostKeyUnknown(type: String, fingerprint: String, instead: String)
    /// The known hosts files have another key of the type: type, fingerprint, file and line.
    case hostKeyChanged(type: String, fingerprint: String, place: String)
    /// The key is marked as revoked: fingerprint, file and line.
    case hostKeyRevoked(fingerprint: String, place: String)
    /// What is known of the host is of a kind that libssh2 can't check: which, file and line.
    case hostKeyUnsupported(kind: String, place: String)
    /// The handshake failed: libssh2's words.
    case handshake(String)
    /// No key was accepted: one line for each that was tried or passed over, and what would help.
    case authentication(tried: [String], hint: String)
    /// The connection is gone.
    case lost(String)
    /// The connection was closed by our side.
    case closed
    /// The other side refused a program or a tunnel.
    case refused(String)
    /// Something on the controller's own machine failed.
    case local(String)
  }

  /// What went wrong.
  public var reason: Reason
  /// Where: `user@address:port`, with the way there.
  public var place: String
  /// The address and port that `ssh-keyscan` would ask.
  var address: String
  var port: Int

  init(_ reason: Reason, place: String, address: String, port: Int) {
    self.reason = reason
    self.place = place
    self.address = address
    self.port = port
  }

  /// What failed, where and why, escaped for a terminal.
  public var message: String {
    "\(place): " + escapedForTerminal(what, limit: 2000)
  }

  /// What failed, where, why, and what to do.
  public var description: String { hint.isEmpty ? message : "\(message); \(hint)" }

  private var what: String {
    switch reason {
    case .configuration(let why): "its ssh configuration can't be used: \(why)"
    case .resolve(let why): "its name has no address: \(why)"
    case .connect(let why): "no connection: \(why)"
    case .deadline(let phase): "no answer in time while \(Self.words(phase))"
    case .hostKeyUnknown(let type, let fingerprint, let instead):
      "its host key is not known (\(type) \(fingerprint)\(instead.isEmpty ? "" : ", known is " + instead))"
    case .hostKeyChanged(let type, let fingerprint, let place):
      "its host key has CHANGED, or somebody else answers (\(type) \(fingerprint); another key is at \(place))"
    case .hostKeyRevoked(let fingerprint, let place):
      "its host key is revoked (\(fingerprint), at \(place))"
    case .hostKeyUnsupported(let kind, let place):
      "what is known of it is \(kind) (at \(place)), which libssh2 can't check"
    case .handshake(let why): "the SSH handshake failed: \(why)"
    case .authentication(let tried, _):
      "no key was accepted (" + (tried.isEmpty ? "there was none to try" : tried.joined(separator: ", "))
        + ")"
    case .lost(let why): "the connection was lost: \(why)"
    case .closed: "the connection was closed"
    case .refused(let why): "refused by the host: \(why)"
    case .local(let why): why
    }
  }

  /// What to do; empty where nothing can be said.
  public var hint: String {
    let scan = "ssh-keyscan " + (port == 22 ? "" : "-p \(port) ") + escapedForTerminal(address)
    switch reason {
    case .configuration: return "see what `ssh -G \(escapedForTerminal(address))` says"
    case .resolve: return "check ansible_host in the inventory, or HostName in the ssh configuration"
    case .connect, .deadline(.connecting):
      return "check that the host is up and that sshd listens on port \(port)"
    case .hostKeyUnknown:
      return "`\(scan)` shows its keys; compare them with the host's own, then add the line to known_hosts"
    case .hostKeyChanged:
      return "if the host was set up anew, `\(scan)` shows its keys; replace the line after comparing"
    case .hostKeyRevoked: return "give the host a new key"
    case .hostKeyUnsupported:
      return "`\(scan)` shows its keys; add an ed25519 or ECDSA line to known_hosts after comparing"
    case .authentication(_, let hint): return hint
    case .deadline, .handshake, .lost, .closed, .refused, .local: return ""
    }
  }

  private static func words(_ phase: Phase) -> String {
    switch phase {
    case .configuring: "asking ssh for its configuration"
    case .resolving: "looking up its address"
    case .connecting: "connecting"
    case .handshake: "shaking hands"
    case .authenticating: "authenticating"
    case .opening: "starting a program or a tunnel"
    case .pushing: "bringing the host program there"
    case .calling: "waiting for the host program"
    }
  }
}
