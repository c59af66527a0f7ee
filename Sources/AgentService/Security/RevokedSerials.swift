import FoundationEssentials
import X509

/// A revocation list as far as the agent asks it.
public protocol RevokedSerials: Sendable {
  /// Whether the authority has taken back the certificate with this serial number, given as the bytes of the integer in DER.
  func isRevoked(serial: [UInt8]) -> Bool
  /// Which of the authority's lists it is: each has a higher number than those before it.
  var number: Int64 { get }
  /// When the authority meant to have published the next list; nil where it doesn't say.
  var nextUpdate: Date? { get }
}

extension RevokedSerials {
  /// Whether a certificate of the authority's is taken back.
  func takesBack(_ certificate: Certificate) -> Bool {
    isRevoked(serial: Array(certificate.serialNumber.bytes))
  }
}

/// Makes a list from the bytes of its file, once its signature is that of one of the certificates in the authority's file, whose
/// bytes come second.
public typealias RevocationReader =
  @Sendable (_ list: [UInt8], _ authority: [UInt8]) throws -> any RevokedSerials
