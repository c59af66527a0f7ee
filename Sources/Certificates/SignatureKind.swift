import SwiftASN1

/// `ecdsa-with-SHA256`, the only signature that lists have here.
struct SignatureKind: DERParseable, DERSerializable {
  private static let id: ASN1ObjectIdentifier = [1, 2, 840, 10045, 4, 3, 2]

  init() {}

  func serialize(into coder: inout DER.Serializer) throws {
    try coder.appendConstructedNode(identifier: .sequence) { try $0.serialize(Self.id) }
  }

  init(derEncoded node: ASN1Node) throws {
    let id = try DER.sequence(node, identifier: .sequence) { nodes in
      let id = try ASN1ObjectIdentifier(derEncoded: &nodes)
      // What other kinds have for parameters makes no difference: they are refused.
      while nodes.next() != nil {}
      return id
    }
    guard id == Self.id else { throw MalformedList("it is not signed with ECDSA and SHA-256") }
  }
}
