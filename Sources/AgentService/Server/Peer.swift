import NIOCore

/// A client's address as the log has it.
func peer(_ address: SocketAddress?) -> String {
  guard let address, let host = address.ipAddress, let port = address.port else { return "unknown" }
  return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
}
