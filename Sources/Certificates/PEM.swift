import SwiftASN1

/// DER between BEGIN and END lines.
enum PEM {
  static let certificate = "CERTIFICATE"
  static let revocationList = "X509 CRL"

  /// The text with its last line break.
  static func text(_ kind: String, _ der: [UInt8]) -> [UInt8] {
    Array((PEMDocument(type: kind, derBytes: der).pemString + "\n").utf8)
  }

  /// The DER in a text that has one document of that kind and no other; DER is also taken as it is.
  static func der(_ kind: String, in bytes: [UInt8]) throws(AuthorityError) -> [UInt8] {
    // Every certificate and list is a SEQUENCE of more than 127 bytes; no text begins so.
    if bytes.first == 0x30, let second = bytes.dropFirst().first, second > 0x7f { return bytes }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw none(kind) }
    let document: PEMDocument
    do { document = try PEMDocument(pemString: text) } catch { throw none(kind) }
    guard document.discriminator == kind else { throw none(kind) }
    return document.derBytes
  }

  private static func none(_ kind: String) -> AuthorityError {
    .damaged("there is no whole “\(kind)” in it, or more than one", hint: "restore it from a backup")
  }
}
