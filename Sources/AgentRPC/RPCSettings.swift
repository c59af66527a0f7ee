/// What the RPC door needs to know beside the hosts.
public struct RPCSettings: Hashable, Sendable {
  /// The agents' port.
  public var port: Int
  /// A PEM file: the authority that agents' certificates must be from.
  public var authority: String
  /// A PEM file: our own certificate, with those between it and the authority.
  public var certificate: String
  /// A PEM file: our own certificate's key.
  public var key: String
  /// A file that holds the token which agents ask for; nil where they ask for none.
  public var token: String?
  /// The most for a connection with its handshake, and again for the head of an answer.
  public var stepWithin: Duration = .seconds(10)
  /// A conversation that nobody used for so long is ended.
  public var idleWithin: Duration = .seconds(60)

  /// The defaults, with these files.
  public init(port: Int, authority: String, certificate: String, key: String, token: String? = nil) {
    self.port = port
    self.authority = authority
    self.certificate = certificate
    self.key = key
    self.token = token
  }
}
