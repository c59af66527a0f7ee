import SwiftASN1
import X509

/// One element of `revokedCertificates` of RFC 5280, section 5.1.
struct RevokedSerial: DERParseable, DERSerializable {
  let entry: RevocationList.Entry

  private static let reasonID: ASN1ObjectIdentifier = [2, 5, 29, 21]

  init(_ entry: RevocationList.Entry) { self.entry = entry }

  func serialize(into coder: inout DER.Serializer) throws {
    try coder.appendConstructedNode(identifier: .sequence) { coder in
      try coder.serialize(entry.serial.bytes[...])
      try CertificateTime.append(entry.revokedAt, to: &coder)
      // RFC 5280: what is unspecified is left out.
      guard let reason = entry.reason, reason != .unspecified else { return }
      var value = DER.Serializer()
      try reason.code.serialize(into: &value, withIdentifier: .enumerated)
      try coder.serializeSequenceOf([
        Certificate.Extension(oid: Self.reasonID, critical: false, value: value.serializedBytes[...])
      ])
    }
  }

  init(derEncoded node: ASN1Node) throws {
    entry = try DER.sequence(node, identifier: .sequence) { nodes in
      guard let serial = CertificateSerial(bytes: try ArraySlice<UInt8>(derEncoded: &nodes)) else {
        throw MalformedList("it revokes a serial number that there can't be")
      }
      guard let time = nodes.next() else { throw MalformedList("an entry has no time") }
      let extensions: [Certificate.Extension] =
        try nodes.next().map { try DER.sequence(identifier: .sequence, rootNode: $0) } ?? []
      guard extensions.allSatisfy({ !$0.critical }) else {
        throw MalformedList("an entry has a critical extension that is not understood here")
      }
      let reason = try extensions.first { $0.oid == Self.reasonID }.map {
        try Int(derEncoded: DER.parse($0.value), withIdentifier: .enumerated)
      }
      return RevocationList.Entry(
        serial: serial, revokedAt: try CertificateTime.wall(of: time),
        reason: reason.map { RevocationReason(code: $0) } ?? .unspecified)
    }
  }
}
