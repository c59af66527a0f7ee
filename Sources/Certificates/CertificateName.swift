import RolloutModel

/// Whom a certificate is for, checked against `[a-zA-Z0-9][a-zA-Z0-9.-]{0,62}`, so that it may stand in a path and in a
/// certificate's subject.
public struct CertificateName: Hashable, Sendable, CustomStringConvertible {
  /// The checked text.
  public let text: String

  /// Nil where `text` can't be a certificate's name.
  public init?(_ text: String) {
    guard let first = text.utf8.first, Self.isAlphanumeric(first), text.utf8.count <= 63,
      text.utf8.allSatisfy({ Self.isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") })
    else { return nil }
    // Its files would take the names of the authority's own.
    guard !["ca", "crl"].contains(text.lowercased()) else { return nil }
    self.text = text
  }

  /// The text.
  public var description: String { text }

  var certificateFile: String { text + ".pem" }
  var keyFile: String { text + ".key" }

  /// The name that an agent is called by: a DNS name, or the address that the text is; nil where it can't be either.
  var alternativeName: AlternativeName? { AlternativeName("ip:" + text) ?? AlternativeName("dns:" + text) }

  /// The name, or the error that says what a name is.
  static func checked(_ text: String) throws(AuthorityError) -> CertificateName {
    guard let name = CertificateName(text) else {
      throw .refused(
        "“\(escapedForTerminal(text, limit: 80))” can't be a certificate's name",
        hint:
          "letters, digits, dots and dashes, 63 at most, the first one a letter or digit; not “ca” or “crl”")
    }
    return name
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }
}
