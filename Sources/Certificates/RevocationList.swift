import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// The certificates that an authority has revoked, as it signed them: a whole X.509 list of version 2. There is no value of
/// this type whose signature does not fit.
public struct RevocationList: Hashable, Sendable {
  /// One revoked certificate.
  public struct Entry: Hashable, Sendable {
    /// Its serial number.
    public let serial: CertificateSerial
    /// Since when, in milliseconds since 1970.
    public let revokedAt: Int64
    /// Why; nil for a reason that is not known here, which revokes all the same.
    public let reason: RevocationReason?
  }

  /// Each list of an authority has a higher one than those before it.
  public let number: Int64
  /// From when on it counts, in milliseconds since 1970.
  public let thisUpdate: Int64
  /// Until when it counts, in milliseconds since 1970: then there is a newer one.
  public let nextUpdate: Int64
  /// What is revoked, in the list's order.
  public let entries: [Entry]
  private let serials: Set<CertificateSerial>
  private let issuer: DistinguishedName

  /// Reads a list in PEM or DER and checks that this authority signed it.
  public init(_ bytes: [UInt8], issuedBy authority: Certificate) throws(AuthorityError) {
    let der = try PEM.der(PEM.revocationList, in: bytes)
    let body: RevocationListBody
    do { body = try Self.verified(der, by: authority) } catch let error as MalformedList {
      throw .damaged(
        "the revocation list can't be trusted: \(error.what)", hint: "fetch it from its authority again")
    } catch {
      throw .damaged(
        "the revocation list is not one in DER: some bytes are missing or changed",
        hint: "fetch it from its authority again")
    }
    issuer = body.issuer
    number = body.number
    thisUpdate = body.thisUpdate
    nextUpdate = body.nextUpdate
    entries = body.entries
    serials = Set(body.entries.map(\.serial))
  }

  /// Reads a list in PEM or DER and checks that one of the certificates in an authority's file, which is PEM, has signed it.
  public init(_ bytes: [UInt8], authorityFile file: [UInt8]) throws(AuthorityError) {
    let documents: [PEMDocument]
    do { documents = try PEMDocument.parseMultiple(pemString: String(decoding: file, as: UTF8.self)) } catch {
      throw .damaged("the authority's file is no PEM", hint: "fetch it from the authority again")
    }
    var failure = AuthorityError.damaged(
      "the authority's file has no certificate to check the revocation list with",
      hint: "fetch it from the authority again")
    for document in documents {
      do throws(AuthorityError) {
        // What is no certificate has signed nothing.
        guard let authority = try? Certificate(derEncoded: document.derBytes) else { continue }
        try self.init(bytes, issuedBy: authority)
        return
      } catch {
        failure = error
      }
    }
    throw failure
  }

  /// Whether this certificate, in DER, is revoked. One that can't be read, or has a number that none may have, is none of a good one.
  public func revokes(_ der: [UInt8]) -> Bool {
    guard let certificate = try? Certificate(derEncoded: der), let serial = CertificateSerial(certificate)
    else { return true }
    return certificate.issuer == issuer && serials.contains(serial)
  }

  /// Whether the certificate with this serial number is revoked.
  public func isRevoked(_ serial: CertificateSerial) -> Bool { serials.contains(serial) }

  /// Whether the list counts at a time, in milliseconds since 1970. Where it doesn't, it proves of no certificate that it is
  /// still good; those that it revokes stay revoked.
  public func isCurrent(at wall: Int64) -> Bool { (thisUpdate...max(thisUpdate, nextUpdate)).contains(wall) }

  private static func verified(_ der: [UInt8], by authority: Certificate) throws -> RevocationListBody {
    let (body, signed, signature) = try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
      guard let body = nodes.next() else { throw MalformedList("it is empty") }
      _ = try SignatureKind(derEncoded: &nodes)
      return (body, body.encodedBytes, try ASN1BitString(derEncoded: &nodes))
    }
    guard try authority.extensions.keyUsage?.cRLSign == true else {
      throw MalformedList("the authority's certificate does not allow it to sign lists")
    }
    guard
      authority.publicKey.isValidSignature(
        signature.bytes, for: signed, signatureAlgorithm: .ecdsaWithSHA256), signature.paddingBits == 0
    else { throw MalformedList("its signature is not this authority's") }
    let list = try RevocationListBody(derEncoded: body)
    guard list.issuer == authority.subject else { throw MalformedList("it names another authority") }
    guard list.thisUpdate <= list.nextUpdate else { throw MalformedList("it ends before it begins") }
    return list
  }

  /// Signs a list.
  static func signed(
    number: Int64, from thisUpdate: Int64, to nextUpdate: Int64, entries: [Entry], authority: Certificate,
    key: P256.Signing.PrivateKey
  ) throws -> [UInt8] {
    let keyName = try authority.extensions.subjectKeyIdentifier?.keyIdentifier
    let body = RevocationListBody(
      issuer: authority.subject, thisUpdate: thisUpdate, nextUpdate: nextUpdate, entries: entries,
      number: number,
      authorityKey: try keyName.map {
        try Certificate.Extension(AuthorityKeyIdentifier(keyIdentifier: $0), critical: false)
      })
    var signed = DER.Serializer()
    try signed.serialize(body)
    let signature = try key.signature(for: Data(signed.serializedBytes)).derRepresentation
    var list = DER.Serializer()
    try list.appendConstructedNode(identifier: .sequence) { coder in
      coder.serializeRawBytes(signed.serializedBytes)
      try coder.serialize(SignatureKind())
      try coder.serialize(ASN1BitString(bytes: Array(signature)[...]))
    }
    return list.serializedBytes
  }
}
