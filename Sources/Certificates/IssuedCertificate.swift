import X509

/// A certificate that was just issued, and where its files are.
public struct IssuedCertificate: Hashable, Sendable {
  /// What the authority knows of it.
  public let record: CertificateRecord
  /// The certificate.
  public let certificate: Certificate
  /// The folder of `NAME.pem`, `NAME.key`, `ca.pem` and `crl.pem`.
  public let folder: String
}
