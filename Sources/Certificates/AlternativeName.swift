import Glibc
import SwiftASN1
import X509

/// A name by which a certificate's owner is called: `dns:web-1.example`, `ip:192.0.2.7`, `ip:2001:db8::7`.
public enum AlternativeName: Hashable, Sendable, CustomStringConvertible {
  /// A host's name in lower case: no wildcard, no underscore, no dot at its end.
  case dns(String)
  /// An address: 4 bytes or 16.
  case ip([UInt8])

  /// Nil where `text` is neither `dns:NAME` nor `ip:ADDRESS`.
  public init?(_ text: String) {
    guard let colon = text.firstIndex(of: ":") else { return nil }
    let value = String(text[text.index(after: colon)...])
    switch text[..<colon] {
    case "dns":
      // A name of digits and dots would be taken for an address by some and for a name by others.
      guard Self.isHostName(value), Self.address(value) == nil else { return nil }
      self = .dns(value.lowercased())
    case "ip":
      guard let bytes = Self.address(value) else { return nil }
      self = .ip(bytes)
    default: return nil
    }
  }

  /// As it is written on the command line; addresses in their shortest form.
  public var description: String {
    switch self {
    case .dns(let name): return "dns:" + name
    case .ip(let bytes):
      var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN) + 1)
      let family = bytes.count == 4 ? AF_INET : AF_INET6
      // 16 bytes are what an address of either family may read.
      let padded = bytes + [UInt8](repeating: 0, count: max(0, 16 - bytes.count))
      inet_ntop(family, padded, &text, socklen_t(text.count))
      let plain = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      return "ip:" + String(decoding: plain, as: UTF8.self)
    }
  }

  var generalName: GeneralName {
    switch self {
    case .dns(let name): .dnsName(name)
    case .ip(let bytes): .ipAddress(ASN1OctetString(contentBytes: bytes[...]))
    }
  }

  private static func isHostName(_ text: String) -> Bool {
    guard text.utf8.count <= 253 else { return false }
    return text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy {
      label in
      guard let first = label.first, let last = label.last, label.count <= 63 else { return false }
      return first != UInt8(ascii: "-") && last != UInt8(ascii: "-") && label.allSatisfy(isLabelByte)
    }
  }

  private static func isLabelByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  private static func address(_ text: String) -> [UInt8]? {
    // What C would read only up to a zero byte is no address.
    guard text.utf8.count < Int(INET6_ADDRSTRLEN), !text.utf8.contains(0) else { return nil }
    for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
      var bytes = [UInt8](repeating: 0, count: 16)
      if inet_pton(family, text, &bytes) == 1 { return Array(bytes.prefix(count)) }
    }
    return nil
  }
}
