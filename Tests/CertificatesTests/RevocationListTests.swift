import SwiftASN1
import Testing
import X509

@testable import Certificates

@Suite("Reading a revocation list")
struct RevocationListTests {
  @Test("In PEM and in DER, with what is revoked and until when it counts")
  func reads() async throws {
    try await Site.with { site, authority in
      let good = try authority.issue(CertificateRequest(name: "good", role: .agent))
      let bad = try authority.issue(CertificateRequest(name: "bad", role: .agent))
      _ = try authority.revoke("bad", reason: .privilegeWithdrawn)
      let certificate = try authority.read().certificate
      #expect(
        try await site.openssl("crl", "-in", "ca/crl.pem", "-outform", "der", "-out", "crl.der").code == 0)
      for name in ["ca/crl.pem", "crl.der"] {
        let list = try RevocationList(site.bytes(name), issuedBy: certificate)
        #expect(list.number == 2)
        #expect(
          list.entries == [
            RevocationList.Entry(
              serial: bad.record.serial, revokedAt: HandTime.start, reason: .privilegeWithdrawn)
          ])
        let serial = try #require(CertificateSerial(bad.certificate))
        #expect(list.isRevoked(serial) && serial == bad.record.serial)
        #expect(!list.isRevoked(good.record.serial))
        let ofFile = try RevocationList(site.bytes(name), authorityFile: site.bytes("ca/ca.pem"))
        func der(_ certificate: Certificate) throws -> [UInt8] {
          var serializer = DER.Serializer()
          try serializer.serialize(certificate)
          return serializer.serializedBytes
        }
        #expect(try ofFile.revokes(der(bad.certificate)) && !ofFile.revokes(der(good.certificate)))
        #expect(ofFile.revokes([1, 2, 3]), "what is no certificate is not a good one")
        #expect(list.nextUpdate == HandTime.start + 30 * 86_400_000)
        #expect(list.isCurrent(at: HandTime.start) && list.isCurrent(at: list.nextUpdate))
        #expect(!list.isCurrent(at: list.nextUpdate + 1) && !list.isCurrent(at: list.thisUpdate - 1))
      }
    }
  }

  @Test(
    "OpenSSL's own lists are read; those without a number, of another authority or of another hash are not")
  func foreignLists() async throws {
    try await Site.with { site, authority in
      let certificate = try authority.read().certificate
      let configuration = """
        [ca]
        default_ca = d
        [d]
        database = index.txt
        crlnumber = number
        default_md = sha256
        crl_extensions = e
        [e]
        authorityKeyIdentifier = keyid
        """
      try site.overwrite(
        "index.txt",
        Array("R\t271123000000Z\t260601000000Z,keyCompromise\t0AFF\tunknown\t/CN=x\n".utf8)
          + Array("R\t271123000000Z\t260601000000Z,certificateHold\t0B\tunknown\t/CN=y\n".utf8))
      func list(_ configuration: String, key: String = "ca") async throws -> [UInt8] {
        try site.overwrite("number", Array("1F\n".utf8))
        try site.overwrite("ca.cnf", Array(configuration.utf8))
        let made = try await site.openssl(
          "ca", "-config", "ca.cnf", "-gencrl", "-keyfile", "\(key)/ca.key", "-cert", "\(key)/ca.pem",
          "-crldays", "10", "-out", "made.pem")
        try #require(made.code == 0, "\(made.output)")
        return try site.bytes("made.pem")
      }
      let read = try RevocationList(try await list(configuration), issuedBy: certificate)
      #expect(read.number == 0x1f)
      #expect(read.entries.map(\.serial.description) == ["0b", "0aff"])
      // A reason that is not known here revokes all the same.
      #expect(read.entries.map(\.reason) == [nil, .keyCompromise])

      let other = site.authority("other")
      _ = try other.create()
      for (bytes, phrase) in [
        (try await list(configuration.replacing("crlnumber = number", with: "")), "no number"),
        (try await list(configuration.replacing("sha256", with: "sha384")), "SHA-256"),
        (try await list(configuration, key: "other"), "signature"),
        (
          try await list(
            configuration + "\nissuingDistributionPoint = critical,@i\n[i]\nonlyuser = TRUE\n"), "critical"
        ),
      ] {
        let error = failure { try RevocationList(bytes, issuedBy: certificate) }
        #expect(error?.kind == .damaged)
        #expect(error?.message.contains(phrase) == true, "\(error?.message ?? "")")
      }
    }
  }

  @Test("No flipped bit and no cut leaves a list that is trusted")
  func damaged() async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "bad", role: .agent))
      _ = try authority.revoke("bad", reason: .keyCompromise)
      let certificate = try authority.read().certificate
      let der = try PEMDocument(pemString: site.text("ca/crl.pem")).derBytes
      for place in der.indices {
        var changed = der
        changed[place] ^= 1 << UInt8(place % 8)
        #expect(
          failure { try RevocationList(changed, issuedBy: certificate) } != nil)
        let cut = Array(der.prefix(place))
        #expect(
          failure { try RevocationList(cut, issuedBy: certificate) } != nil)
      }
      for bytes in [der + [0], der + der, [0x30, 0x80, 0, 0], Array(repeating: 0x30, count: 10_000)] {
        #expect(
          failure { try RevocationList(bytes, issuedBy: certificate) } != nil)
      }
    }
  }

  @Test("A host's certificate can't sign a list")
  func leafSigns() async throws {
    try await Site.with { site, authority in
      let issued = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      let bytes = try site.bytes("ca/crl.pem")
      let error = failure {
        try RevocationList(bytes, issuedBy: issued.certificate)
      }
      #expect(error?.message.contains("does not allow") == true)
    }
  }
}
