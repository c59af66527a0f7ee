import X509

/// What an authority is and what it has issued.
public struct AuthorityContents: Hashable, Sendable {
  /// Its own certificate.
  public let certificate: Certificate
  /// What it has revoked.
  public let list: RevocationList
  var index: AuthorityIndex

  init(certificate: Certificate, index: AuthorityIndex, list: RevocationList) {
    self.certificate = certificate
    self.index = index
    self.list = list
  }

  /// Everything that was issued, in that order.
  public var records: [CertificateRecord] { index.records }

  /// From when on the authority counts, in milliseconds since 1970.
  public var notBefore: Int64 { CertificateTime.wall(certificate.notValidBefore) }

  /// Until when the authority counts, in milliseconds since 1970; its certificates end no later.
  public var notAfter: Int64 { CertificateTime.wall(certificate.notValidAfter) }
}
