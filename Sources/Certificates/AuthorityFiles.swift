import Crypto
import FoundationEssentials
import RolloutModel
import SwiftASN1
import X509

/// An authority's files, read and checked one by one.
struct AuthorityFiles {
  static let certificateName = "ca.pem"
  static let keyName = "ca.key"
  static let listName = "crl.pem"
  static let indexName = "index.json"
  static let issuedName = "issued"

  /// The most that a certificate or key can have.
  static let smallFile = 65_536
  /// The most that a list or index can have: some hundred thousand certificates.
  private static let largeFile = 268_435_456
  private static let backup = "restore it from a backup"

  let folder: OpenFolder

  /// What `ca.pem` says.
  func certificateFile() throws(AuthorityError) -> [UInt8] {
    try present(Self.certificateName, Self.smallFile)
  }

  /// The authority's certificate, if it is one and signed itself.
  func certificate() throws(AuthorityError) -> Certificate {
    let bytes = try certificateFile()
    do throws(AuthorityError) { return try Self.certificate(bytes) } catch {
      throw error.found(in: folder.path(of: Self.certificateName))
    }
  }

  /// Everything that was issued.
  func index() throws(AuthorityError) -> AuthorityIndex {
    let bytes = try present(Self.indexName, Self.largeFile)
    do throws(AuthorityError) { return try AuthorityIndex(bytes) } catch {
      throw error.found(in: folder.path(of: Self.indexName))
    }
  }

  /// The revocation list, if this authority signed it; nil where there is none.
  func list(by certificate: Certificate) throws(AuthorityError) -> RevocationList? {
    guard let bytes = try folder.read(Self.listName, atMost: Self.largeFile) else { return nil }
    do throws(AuthorityError) { return try RevocationList(bytes, issuedBy: certificate) } catch {
      throw error.found(in: folder.path(of: Self.listName))
    }
  }

  /// What `crl.pem` says.
  func listFile() throws(AuthorityError) -> [UInt8] { try present(Self.listName, Self.largeFile) }

  /// The authority's key, if nobody else may read it and it is the certificate's.
  func key(of certificate: Certificate) throws(AuthorityError) -> P256.Signing.PrivateKey {
    let path = escapedForTerminal(folder.path(of: Self.keyName))
    guard let bytes = try folder.read(Self.keyName, atMost: Self.smallFile, isSecret: true) else {
      throw .damaged("\(path) is missing", hint: Self.backup)
    }
    let key: P256.Signing.PrivateKey
    do { key = try P256.Signing.PrivateKey(pemRepresentation: String(decoding: bytes, as: UTF8.self)) } catch
    {
      // The error's own words are left out: they might quote the file.
      throw .damaged("\(path) is no P-256 key in PEM", hint: Self.backup)
    }
    guard Certificate.PublicKey(key.publicKey) == certificate.publicKey else {
      throw .damaged("\(path) is not the key of \(Self.certificateName) beside it", hint: Self.backup)
    }
    return key
  }

  /// Checks that list and index tell of the same revocations.
  func compare(_ list: RevocationList, _ index: AuthorityIndex) throws(AuthorityError) {
    try checkIsNewest(index, list)
    guard list.number == index.listNumber,
      Set(list.entries.map(\.serial)) == Set(index.revoked.map(\.serial))
    else {
      throw .damaged(
        "\(escapedForTerminal(folder.path(of: Self.listName))) lacks what was revoked last: it has number \(list.number), the index \(index.listNumber)",
        hint: "sign it anew with `switchyard cert crl`")
    }
  }

  /// Checks that the index is not older than a list: a list signed from such an index would take revocations back.
  func checkIsNewest(_ index: AuthorityIndex, _ list: RevocationList) throws(AuthorityError) {
    guard list.number <= index.listNumber,
      Set(list.entries.map(\.serial)).isSubset(of: Set(index.revoked.map(\.serial)))
    else {
      throw .damaged(
        "\(escapedForTerminal(folder.path(of: Self.indexName))) is older than \(Self.listName) beside it, which revokes more",
        hint: "restore the newest index.json: a list from this one would take revocations back")
    }
  }

  private func present(_ name: String, _ limit: Int) throws(AuthorityError) -> [UInt8] {
    guard let bytes = try folder.read(name, atMost: limit) else {
      throw .damaged("\(escapedForTerminal(folder.path(of: name))) is missing", hint: Self.backup)
    }
    return bytes
  }

  private static func certificate(_ bytes: [UInt8]) throws(AuthorityError) -> Certificate {
    let der = try PEM.der(PEM.certificate, in: bytes)
    do {
      let certificate = try Certificate(derEncoded: der)
      let usage = try certificate.extensions.keyUsage
      guard P256.Signing.PublicKey(certificate.publicKey) != nil, certificate.issuer == certificate.subject,
        certificate.publicKey.isValidSignature(certificate.signature, for: certificate),
        case .isCertificateAuthority? = try certificate.extensions.basicConstraints,
        usage?.keyCertSign == true, usage?.cRLSign == true
      else {
        throw AuthorityError.damaged(
          "this is not the certificate of an authority that signed itself with a P-256 key", hint: backup)
      }
      return certificate
    } catch let error as AuthorityError { throw error } catch {
      throw .damaged("some bytes of the certificate are missing or changed", hint: backup)
    }
  }
}
