/// Sees which certificate a TLS server shows.
public protocol CertificateLook: Sendable {
  /// The server's own certificate in DER, over a fresh connection and whatever it is worth: it is compared, not trusted.
  func servedCertificate(at route: ProbeRoute, within: Duration) async throws(DoorError) -> [UInt8]

  /// Whether the host itself says that nothing listens there; false where that can't be told, as with a host that can't be reached.
  func isClosed(at route: ProbeRoute, within: Duration) async -> Bool
}
