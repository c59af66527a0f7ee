import X509

/// A certificate's serial number: positive, 20 bytes at most.
public struct CertificateSerial: Hashable, Sendable, CustomStringConvertible {
  /// Its bytes, the highest first; the first one is not 0.
  let bytes: [UInt8]

  /// The number of these bytes, the highest first; nil for 0, and for more than RFC 5280 allows.
  init?(bytes: some Sequence<UInt8>) {
    let trimmed = Array(bytes.drop { $0 == 0 })
    guard (1...20).contains(trimmed.count) else { return nil }
    self.bytes = trimmed
  }

  /// Nil where `text` is no number in hexadecimal digits; upper case, and colons between bytes, are understood.
  public init?(_ text: String) {
    var digits: [UInt8] = []
    for character in text.utf8 where character != UInt8(ascii: ":") {
      guard digits.count < 80, let digit = Self.digit(character) else { return nil }
      digits.append(digit)
    }
    if !digits.count.isMultiple(of: 2) { digits.insert(0, at: 0) }
    self.init(bytes: stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
  }

  /// The serial number of a certificate; nil where it has one that RFC 5280 forbids.
  public init?(_ certificate: Certificate) { self.init(bytes: certificate.serialNumber.bytes) }

  /// A new number of 159 random bits: the highest one stays clear, for the number is positive.
  static func random(_ chance: () -> UInt64) throws(AuthorityError) -> CertificateSerial {
    let words = [chance(), chance(), chance()]
    var bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
    bytes[0] &= 0x7f
    guard let serial = CertificateSerial(bytes: bytes.prefix(20)) else { throw .withoutChance }
    return serial
  }

  var forCertificate: Certificate.SerialNumber { Certificate.SerialNumber(bytes: bytes) }

  /// Hexadecimal digits, two for each byte, as OpenSSL prints them but in lower case.
  public var description: String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private static func digit(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
