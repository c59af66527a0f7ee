/// What a certificate may be used for. Each side of a connection has a role of its own, so that a stolen agent's key can't
/// steer other agents.
public enum CertificateRole: String, Hashable, Sendable, CaseIterable {
  /// It answers: a TLS server, nothing else.
  case agent
  /// It asks: a TLS client, nothing else.
  case controller
}
