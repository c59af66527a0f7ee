import SwiftASN1
import X509

/// What is wrong with the bytes of a revocation list.
struct MalformedList: Error {
  let what: String

  init(_ what: String) { self.what = what }
}

/// What is signed in a revocation list: `TBSCertList` of RFC 5280, section 5.1.
struct RevocationListBody: DERParseable, DERSerializable {
  var issuer: DistinguishedName
  var thisUpdate: Int64
  var nextUpdate: Int64
  var entries: [RevocationList.Entry]
  var number: Int64
  /// What names the key that signs.
  var authorityKey: Certificate.Extension?

  private static let numberID: ASN1ObjectIdentifier = [2, 5, 29, 20]

  init(
    issuer: DistinguishedName, thisUpdate: Int64, nextUpdate: Int64, entries: [RevocationList.Entry],
    number: Int64, authorityKey: Certificate.Extension?
  ) {
    self.issuer = issuer
    self.thisUpdate = thisUpdate
    self.nextUpdate = nextUpdate
    self.entries = entries
    self.number = number
    self.authorityKey = authorityKey
  }

  func serialize(into coder: inout DER.Serializer) throws {
    try coder.appendConstructedNode(identifier: .sequence) { coder in
      // Version 2, which has extensions.
      try coder.serialize(1)
      try coder.serialize(SignatureKind())
      try coder.serialize(issuer)
      try CertificateTime.append(thisUpdate, to: &coder)
      try CertificateTime.append(nextUpdate, to: &coder)
      // An empty sequence is forbidden here.
      if !entries.isEmpty { try coder.serializeSequenceOf(entries.map(RevokedSerial.init)) }
      var number = DER.Serializer()
      try number.serialize(self.number)
      let numbering = Certificate.Extension(
        oid: Self.numberID, critical: false, value: number.serializedBytes[...])
      try coder.serialize(explicitlyTaggedWithTagNumber: 0, tagClass: .contextSpecific) { coder in
        try coder.serializeSequenceOf([authorityKey, numbering].compactMap { $0 })
      }
    }
  }

  init(derEncoded node: ASN1Node) throws {
    self = try DER.sequence(node, identifier: .sequence) { nodes in
      guard try Int(derEncoded: &nodes) == 1 else { throw MalformedList("it is not of version 2") }
      _ = try SignatureKind(derEncoded: &nodes)
      guard let issuer = nodes.next(), let thisUpdate = nodes.next(), let nextUpdate = nodes.next() else {
        throw MalformedList("it does not say whose it is, and from when and until when it counts")
      }
      var entries: [RevokedSerial] = []
      var rest = nodes
      if let list = rest.next(), list.identifier == .sequence {
        entries = try DER.sequence(identifier: .sequence, rootNode: list)
        nodes = rest
      }
      let extensions: [Certificate.Extension] =
        try DER.optionalExplicitlyTagged(&nodes, tagNumber: 0, tagClass: .contextSpecific) {
          try DER.sequence(identifier: .sequence, rootNode: $0)
        } ?? []
      return RevocationListBody(
        issuer: try DistinguishedName(derEncoded: issuer),
        thisUpdate: try CertificateTime.wall(of: thisUpdate),
        nextUpdate: try CertificateTime.wall(of: nextUpdate), entries: entries.map(\.entry),
        number: try Self.number(in: extensions),
        authorityKey: extensions.first { $0.oid == .X509ExtensionID.authorityKeyIdentifier })
    }
  }

  private static func number(in extensions: [Certificate.Extension]) throws -> Int64 {
    // Such an extension may say that the list is only a part, or of other authorities' certificates.
    guard extensions.allSatisfy({ !$0.critical }) else {
      throw MalformedList("it has a critical extension that is not understood here")
    }
    let numbers = extensions.filter { $0.oid == numberID }
    guard let found = numbers.first, numbers.count == 1 else { throw MalformedList("it has no number") }
    let number = try Int64(derEncoded: found.value)
    guard number >= 0 else { throw MalformedList("its number is negative") }
    return number
  }
}
