import RolloutModel
import SwiftASN1
import X509

/// What a certificate that somebody shows says of itself; whether that may be believed is not said.
public struct ShownCertificate: Hashable, Sendable {
  /// Its number, as `cert list` prints it; empty where it has one that is forbidden.
  public let serial: String
  /// By which names its owner is called, as `--san` has them; those of other kinds are left out.
  public let names: [String]
  /// From when on it counts, in milliseconds since 1970.
  public let notBefore: Int64
  /// Until when it counts, in milliseconds since 1970.
  public let notAfter: Int64

  /// Reads a certificate in DER; nil where the bytes are none.
  public init?(der: [UInt8]) {
    // Why it can't be read helps nobody: it is another's.
    guard let certificate = try? Certificate(derEncoded: der) else { return nil }
    serial = CertificateSerial(certificate)?.description ?? ""
    notBefore = CertificateTime.wall(certificate.notValidBefore)
    notAfter = CertificateTime.wall(certificate.notValidAfter)
    // Names that can't be read name nobody.
    let alternatives = try? certificate.extensions.subjectAlternativeNames
    names = (alternatives.map { Array($0) } ?? []).compactMap { name in
      switch name {
      case .dnsName(let text): "dns:" + escapedForTerminal(text, limit: 300)
      case .ipAddress(let bytes): AlternativeName.ip(Array(bytes.bytes)).description
      default: nil
      }
    }
  }
}
