/// A host as the inventory and the user's ssh configuration describe it. Holds no secret: keys are named by path.
public struct Host: Hashable, Sendable, Codable {
  /// The inventory's name, checked: it stands in output, paths and requests.
  public var name: String
  /// Where to connect; the name where the inventory says nothing else.
  public var address: String
  /// The inventory's port; nil leaves it to the ssh configuration, then 22.
  public var port: Int?
  /// The inventory's user; nil leaves it to the ssh configuration, then the user's own name.
  public var user: String?
  /// The inventory's key file; nil leaves it to the ssh configuration, the agent and the usual files.
  public var identityFile: String?
  /// Files of known hosts that the inventory names; empty leaves it to the ssh configuration.
  public var knownHostsFiles: [String]
  /// `-J` or `ProxyJump` as the inventory writes it: `[user@]host[:port][,…]`.
  public var proxyJump: String?
  /// The failure domain (variable `switchyard_domain`), for caps per domain; nil where none is named.
  public var domain: String?
  /// Groups that the host is in, sorted.
  public var groups: [String]

  /// A host from its parts.
  public init(
    name: String, address: String, port: Int? = nil, user: String? = nil, identityFile: String? = nil,
    knownHostsFiles: [String] = [], proxyJump: String? = nil, domain: String? = nil, groups: [String] = []
  ) {
    self.name = name
    self.address = address
    self.port = port
    self.user = user
    self.identityFile = identityFile
    self.knownHostsFiles = knownHostsFiles
    self.proxyJump = proxyJump
    self.domain = domain
    self.groups = groups
  }
}
