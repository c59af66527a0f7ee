import RolloutModel

/// How a probe reaches its port.
public enum ProbeRoute: Hashable, Sendable {
  /// A connection from this machine.
  case direct(address: String, port: Int)
  /// A Unix socket on this machine that leads there; the address is for the Host field and for TLS.
  case tunnel(socket: String, address: String, port: Int)
}

/// One question for the prober.
public struct ProbeRequest: Hashable, Sendable {
  /// What is asked, placeholders filled in.
  public var probe: ProbeDefinition
  /// How its port is reached.
  public var route: ProbeRoute
  /// The most that the sample may take, connecting included.
  public var timeout: Span
  /// The version that must answer: a field that should be exactly this and is something else makes a sample
  /// of the wrong version rather than an unhealthy one.
  public var version: String?

  /// A request from its parts.
  public init(probe: ProbeDefinition, route: ProbeRoute, timeout: Span, version: String?) {
    self.probe = probe
    self.route = route
    self.timeout = timeout
    self.version = version
  }
}

/// Measures.
public protocol Prober: Sendable {
  /// Takes one sample over a fresh connection; always answers within the request's timeout and a little.
  func sample(_ request: ProbeRequest) async -> Sample
}
