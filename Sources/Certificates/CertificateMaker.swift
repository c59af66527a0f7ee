import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// Makes certificates: P-256 keys, ECDSA with SHA-256.
enum CertificateMaker {
  /// An authority's own certificate. It signs certificates for hosts and lists, and no other authority.
  static func authority(
    named name: String, serial: CertificateSerial, key: P256.Signing.PrivateKey, from notBefore: Int64,
    to notAfter: Int64
  ) throws -> Certificate {
    let subject = try DistinguishedName { CommonName(name) }
    let signer = Certificate.PrivateKey(key)
    return try Certificate(
      version: .v3, serialNumber: serial.forCertificate, publicKey: signer.publicKey,
      notValidBefore: CertificateTime.date(notBefore), notValidAfter: CertificateTime.date(notAfter),
      issuer: subject, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
        Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        SubjectKeyIdentifier(hash: signer.publicKey)
      },
      issuerPrivateKey: signer)
  }

  /// The certificate of a record.
  static func leaf(
    _ record: CertificateRecord, key: P256.Signing.PublicKey, authority: Certificate,
    authorityKey: P256.Signing.PrivateKey
  ) throws -> Certificate {
    let publicKey = Certificate.PublicKey(key)
    let usage: ExtendedKeyUsage.Usage =
      switch record.role {
      case .agent: .serverAuth
      case .controller: .clientAuth
      }
    var extensions = try Certificate.Extensions {
      Critical(BasicConstraints.notCertificateAuthority)
      Critical(KeyUsage(digitalSignature: true))
      try ExtendedKeyUsage([usage])
      SubjectKeyIdentifier(hash: publicKey)
      AuthorityKeyIdentifier(
        keyIdentifier: try authority.extensions.subjectKeyIdentifier?.keyIdentifier)
    }
    if !record.alternativeNames.isEmpty {
      let names = SubjectAlternativeNames(record.alternativeNames.map(\.generalName))
      try extensions.append(Certificate.Extension(names, critical: false))
    }
    return try Certificate(
      version: .v3, serialNumber: record.serial.forCertificate, publicKey: publicKey,
      notValidBefore: CertificateTime.date(record.notBefore),
      notValidAfter: CertificateTime.date(record.notAfter), issuer: authority.subject,
      subject: try DistinguishedName { CommonName(record.name.text) }, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: extensions, issuerPrivateKey: Certificate.PrivateKey(authorityKey))
  }

  /// A certificate as a file.
  static func pem(_ certificate: Certificate) throws -> [UInt8] {
    var der = DER.Serializer()
    try der.serialize(certificate)
    return PEM.text(PEM.certificate, der.serializedBytes)
  }

  /// A key as a file.
  static func pem(_ key: P256.Signing.PrivateKey) -> [UInt8] { Array((key.pemRepresentation + "\n").utf8) }
}
