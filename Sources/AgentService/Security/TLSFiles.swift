import FoundationEssentials
import MarkedYAML
import NIOCore
import NIOSSL
import SwiftASN1
import X509

/// The files that say who the agent is and whom it serves.
struct TLSFiles: Sendable {
  let certificate: String
  let key: String
  let authority: String
  let revoked: String?
  let reader: RevocationReader?

  init(_ configuration: AgentConfiguration, reader: RevocationReader?) {
    certificate = configuration.certificate
    key = configuration.key
    authority = configuration.authority
    revoked = configuration.revoked
    self.reader = reader
  }

  /// What the files hold. Blocks. Errors: what is wrong with each of them.
  func load() throws(FileProblems) -> Identity {
    let diagnostics = Diagnostics(file: certificate)
    let chain = certificates(certificate, diagnostics)
    let roots = certificates(authority, diagnostics)
    let secret = privateKey(diagnostics)
    let revocations = revocations(roots?.bytes, diagnostics)
    try diagnostics.throwIfAny()
    guard let chain, let roots, let secret else {
      throw FileProblems(file: certificate, what: "the certificate can't be used", instead: "check the files")
    }
    var tls = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.list.map { .certificate($0) }, privateKey: .privateKey(secret))
    tls.minimumTLSVersion = .tlsv12
    tls.applicationProtocols = ["http/1.1"]
    // Health is asked without a certificate; one that is shown must be the authority's.
    tls.certificateVerification = .optionalVerification
    tls.trustRoots = .certificates(roots.list)
    tls.sendCANameList = true
    tls.shutdownTimeout = .seconds(2)
    do {
      return Identity(
        context: try NIOSSLContext(configuration: tls), revoked: revocations,
        authorities: try roots.list.map { try $0.toDERBytes() },
        expires: chain.list.first.map { Date(timeIntervalSince1970: Double($0.notValidAfter)) })
    } catch {
      throw FileProblems(
        file: key, what: "certificate and key can't be used together: \(printable("\(error)"))",
        instead: "write the key that belongs to \(printable(certificate))")
    }
  }

  /// What tells one state of the files from another.
  func marks() -> [String] {
    ([certificate, key, authority] + (revoked.map { [$0] } ?? [])).map { FileState.mark($0) }
  }

  private func certificates(
    _ path: String, _ diagnostics: Diagnostics
  ) -> (bytes: [UInt8], list: [NIOSSLCertificate])? {
    guard let bytes = read(path, diagnostics) else { return nil }
    do {
      let list = try NIOSSLCertificate.fromPEMBytes(bytes)
      if !list.isEmpty { return (bytes, list) }
    } catch {
      // Told below: what BoringSSL says of a text that is no PEM helps nobody.
    }
    diagnostics.report(
      .start, "the file holds no certificate", "write it as PEM, from -----BEGIN CERTIFICATE-----", file: path
    )
    return nil
  }

  private func privateKey(_ diagnostics: Diagnostics) -> NIOSSLPrivateKey? {
    guard let bytes = read(key, diagnostics) else { return nil }
    do { return try NIOSSLPrivateKey(bytes: bytes, format: .pem) } catch {
      diagnostics.report(
        .start, "the file holds no private key that can be read", "write it as PEM, without a passphrase",
        file: key)
      return nil
    }
  }

  private func revocations(_ authority: [UInt8]?, _ diagnostics: Diagnostics) -> (any RevokedSerials)? {
    guard let revoked, let authority else { return nil }
    guard let reader else {
      diagnostics.report(
        .start, "this program was built without what reads revocation lists", "remove revoked", file: revoked)
      return nil
    }
    guard let bytes = read(revoked, diagnostics) else { return nil }
    do { return try reader(bytes, authority) } catch {
      diagnostics.report(
        .start, "the file is no revocation list of the authority: \(printable("\(error)"))",
        "write the list that \(printable(self.authority)) signed, as PEM", file: revoked)
      return nil
    }
  }

  private func read(_ path: String, _ diagnostics: Diagnostics) -> [UInt8]? {
    do throws(FileProblems) { return try BoundedFile.read(path: path) } catch {
      for problem in error.problems {
        diagnostics.report(problem.place, problem.what, problem.instead, file: problem.file)
      }
      return nil
    }
  }
}

/// Who the agent is, and whom it serves.
struct Identity: Sendable {
  let context: NIOSSLContext
  let revoked: (any RevokedSerials)?
  /// The authorities' certificates in DER.
  let authorities: [[UInt8]]
  /// When the agent's own certificate ends.
  let expires: Date?

  /// Whether a client whose chain was proven by the authorities of `former` would be let in by these: they are among these, or one
  /// of these signed the client's certificate itself.
  func stillTrusts(_ certificate: Certificate, provenBy former: Identity) -> Bool {
    if former.authorities.allSatisfy({ authorities.contains($0) }) { return true }
    return authorities.contains { bytes in
      // One that can't be read signs nothing.
      guard let authority = try? Certificate(derEncoded: bytes) else { return false }
      return authority.subject == certificate.issuer
        && authority.publicKey.isValidSignature(certificate.signature, for: certificate)
    }
  }
}
