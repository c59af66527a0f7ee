import Crypto
import RolloutModel
import SwiftASN1
import X509

/// What an agent is to have on its host, read from the authority and checked to fit together.
public struct AgentCredentials: Sendable {
  /// What the authority knows of the certificate.
  public let record: CertificateRecord
  /// The certificate in DER, to compare with what the agent shows.
  public let der: [UInt8]
  /// `NAME.pem`.
  public let certificate: String
  /// `NAME.key`; a secret.
  public let key: String
  /// `ca.pem`.
  public let authority: String
  /// `crl.pem`, the newest.
  public let list: String
  /// That list's number.
  public let listNumber: Int64
  let issuer: Certificate

  /// Whether the certificate's owner may be called so, be it a name or an address.
  public func names(_ host: String) -> Bool {
    guard let name = AlternativeName("ip:" + host) ?? AlternativeName("dns:" + host) else { return false }
    return record.alternativeNames.contains(name)
  }

  /// Whether the same authority signed this certificate, given in DER, be it the newest one or not.
  public func isOfSameAuthority(_ der: [UInt8]) -> Bool {
    // What is no certificate was signed by nobody.
    guard let other = try? Certificate(derEncoded: der) else { return false }
    return other.issuer == issuer.subject && issuer.publicKey.isValidSignature(other.signature, for: other)
  }
}

extension Authority {
  /// The newest credentials of an agent, from `issued/NAME`, with the authority's own files as they are now. Refused: a certificate
  /// that is not the newest one of that name, that has ended or was revoked, or is no agent's; a key that isn't its own; a list whose
  /// time is over.
  public func credentials(of name: String) throws(AuthorityError) -> AgentCredentials {
    let found = try credentials(of: [name])
    guard let only = found.first else { throw .noCertificate(of: escapedForTerminal(name)) }
    return try only.get()
  }

  /// The same for many agents, in their order, each with its own failure; the authority's files are read once for all of them.
  /// Errors: those files.
  public func credentials(
    of names: [String]
  ) throws(AuthorityError) -> [Result<AgentCredentials, AuthorityError>] {
    let folder = try open()
    let now = try now()
    return try folder.locked(shared: true) { () throws(AuthorityError) in
      let files = AuthorityFiles(folder: folder)
      let contents = try Self.contents(files)
      let newest = Dictionary(
        contents.index.newest.map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
      let authority = String(decoding: try files.certificateFile(), as: UTF8.self)
      let list = String(decoding: try files.listFile(), as: UTF8.self)
      return names.map { text in
        do throws(AuthorityError) {
          let name = try CertificateName.checked(text)
          guard let record = newest[name] else { throw .noCertificate(of: name.text) }
          try Self.checkPushable(record, contents.list, at: now)
          let issued = try Self.issued(name, record, in: folder)
          return .success(
            AgentCredentials(
              record: record, der: issued.der, certificate: issued.certificate, key: issued.key,
              authority: authority, list: list, listNumber: contents.list.number,
              issuer: contents.certificate))
        } catch { return .failure(error) }
      }
    }
  }

  private static func checkPushable(
    _ record: CertificateRecord, _ list: RevocationList, at now: Int64
  ) throws(AuthorityError) {
    let name = record.name
    guard record.role == .agent else {
      throw .refused(
        "the certificate of \(name) is a controller's, with which no agent can serve",
        hint: "issue the host one of its own, under another name")
    }
    switch record.state(at: now) {
    case .valid: break
    case .expired:
      throw .refused(
        "the certificate of \(name) has ended", hint: "renew it with `switchyard cert renew \(name)`")
    case .revoked:
      throw .refused(
        "the newest certificate of \(name) is revoked", hint: "issue one with `switchyard cert issue`")
    }
    try checkCurrent(list, at: now)
  }

  static func checkCurrent(_ list: RevocationList, at now: Int64) throws(AuthorityError) {
    guard list.isCurrent(at: now) else {
      throw .refused(
        "the revocation list's time is over: with it an agent lets nobody in",
        hint: "sign it anew with `switchyard cert crl`")
    }
  }

  static func issued(
    _ name: CertificateName, _ record: CertificateRecord, in folder: OpenFolder
  ) throws(AuthorityError) -> (der: [UInt8], certificate: String, key: String) {
    let path = folder.path(of: "\(AuthorityFiles.issuedName)/\(name)")
    let home = try folder.folder(AuthorityFiles.issuedName, .ownerAlone).folder(name.text, .ownerAlone)
    let limit = AuthorityFiles.smallFile
    guard let pem = try home.read(name.certificateFile, atMost: limit),
      let key = try home.read(name.keyFile, atMost: limit, isSecret: true)
    else {
      throw .refused(
        "\(escapedForTerminal(path)) lacks \(name.certificateFile) or \(name.keyFile)",
        hint: "renew it without --out: `switchyard cert renew \(name)`")
    }
    let der = try PEM.der(PEM.certificate, in: pem)
    do {
      let certificate = try Certificate(derEncoded: der)
      let own = try P256.Signing.PrivateKey(pemRepresentation: String(decoding: key, as: UTF8.self))
      guard CertificateSerial(certificate) == record.serial,
        Certificate.PublicKey(own.publicKey) == certificate.publicKey
      else {
        throw AuthorityError.refused(
          "\(escapedForTerminal(path)) does not hold the newest certificate of \(name) and its key",
          hint: "renew it without --out: `switchyard cert renew \(name)`")
      }
    } catch let error as AuthorityError { throw error } catch {
      // The error's own words are left out: they might quote the key.
      throw .damaged(
        "\(escapedForTerminal(path)): certificate or key can't be read",
        hint: "renew it: `switchyard cert renew \(name)`")
    }
    return (der, String(decoding: pem, as: UTF8.self), String(decoding: key, as: UTF8.self))
  }
}

extension AuthorityError {
  fileprivate static func noCertificate(of name: String) -> AuthorityError {
    .refused(
      "\(name) has no certificate of this authority",
      hint: "issue one with `switchyard cert issue \(name) --san ip:ADDRESS`")
  }
}
