import Certificates
import Testing
import X509

@Suite("OpenSSL's judgement")
struct OpenSSLTests {
  @Test("An agent's certificate is a server's, and no client's; a controller's the other way round")
  func roles() async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      _ = try authority.issue(CertificateRequest(name: "desk", role: .controller))
      for (name, good, bad) in [("web-1", "sslserver", "sslclient"), ("desk", "sslclient", "sslserver")] {
        let file = "ca/issued/\(name)/\(name).pem"
        let counts = try await site.verify(file, good)
        #expect(counts.code == 0, "\(counts.output)")
        let refused = try await site.verify(file, bad)
        #expect(refused.code != 0 && refused.output.contains("purpose"), "\(refused.output)")
      }
      // Nobody can sign with a host's key.
      let signs = try await site.openssl("x509", "-in", "ca/issued/web-1/web-1.pem", "-noout", "-text")
      #expect(signs.output.contains("CA:FALSE") && !signs.output.contains("Certificate Sign"))
    }
  }

  @Test("An agent is called by its name and those that were given, a controller by those alone")
  func names() async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(
        CertificateRequest(
          name: "Web-1.example", role: .agent,
          alternativeNames: ["dns:web.example", "ip:192.0.2.7", "ip:2001:DB8::7", "dns:WEB.example"]))
      _ = try authority.issue(
        CertificateRequest(name: "desk", role: .controller, alternativeNames: ["dns:desk.example"]))
      _ = try authority.issue(CertificateRequest(name: "bare", role: .controller))
      _ = try authority.issue(CertificateRequest(name: "192.0.2.9", role: .agent))
      func names(_ name: String) async throws -> String {
        try await site.openssl(
          "x509", "-in", "ca/issued/\(name)/\(name).pem", "-noout", "-ext", "subjectAltName"
        ).output
      }
      #expect(
        try await names("Web-1.example").contains(
          "DNS:web-1.example, DNS:web.example, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7\n"))
      #expect(try await names("desk").contains("    DNS:desk.example\n"))
      #expect(try await names("bare").contains("No extensions"))
      #expect(try await names("192.0.2.9").contains("    IP Address:192.0.2.9\n"))
      let subject = try await site.openssl(
        "x509", "-in", "ca/issued/Web-1.example/Web-1.example.pem", "-noout", "-subject")
      #expect(subject.output == "subject=CN = Web-1.example\n")
    }
  }

  @Test("What is revoked is refused, and nothing else is")
  func revoked() async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      _ = try authority.issue(CertificateRequest(name: "web-2", role: .agent))
      _ = try authority.revoke("web-1", reason: .keyCompromise)
      let revoked = try await site.verify("ca/issued/web-1/web-1.pem", "sslserver")
      #expect(revoked.code != 0 && revoked.output.contains("certificate revoked"), "\(revoked.output)")
      #expect(try await site.verify("ca/issued/web-2/web-2.pem", "sslserver").code == 0)
      // The list of before knew nothing of it.
      #expect(
        try await site.verify("ca/issued/web-1/web-1.pem", "sslserver", list: "ca/issued/web-1/crl.pem").code
          == 0)
    }
  }

  @Test("What has expired is refused, and so is what is not yet valid")
  func expired() async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent, days: 2))
      let file = "ca/issued/web-1/web-1.pem"
      site.time.pass(days: 1)
      #expect(try await site.verify(file, "sslserver").code == 0)
      site.time.pass(days: 2)
      let late = try await site.verify(file, "sslserver")
      #expect(late.code != 0 && late.output.contains("certificate has expired"), "\(late.output)")
      site.time.pass(days: -4)
      let early = try await site.verify(file, "sslserver")
      #expect(early.code != 0 && early.output.contains("not yet valid"), "\(early.output)")
      site.time.pass(days: 40)
      let list = try await site.verify(file, "sslserver")
      #expect(list.output.contains("CRL has expired"), "\(list.output)")
    }
  }

  @Test("A renewed certificate and the one before it both count, and each has its own key")
  func renewed() async throws {
    try await Site.with { site, authority in
      let old = try authority.issue(
        CertificateRequest(name: "web-1", role: .agent, alternativeNames: ["ip:192.0.2.7"]))
      try site.overwrite("old.pem", try site.bytes("ca/issued/web-1/web-1.pem"))
      site.time.pass(days: 20)
      let new = try #require(try authority.renew(["web-1"]).first)
      #expect(
        new.record.serial != old.record.serial && new.certificate.publicKey != old.certificate.publicKey)
      #expect(new.record.alternativeNames == old.record.alternativeNames && new.record.role == .agent)
      let file = "ca/issued/web-1/web-1.pem"
      for file in [file, "old.pem"] { #expect(try await site.verify(file, "sslserver").code == 0) }
      _ = try authority.revoke(old.record.serial, reason: .superseded)
      #expect(try await site.verify(file, "sslserver").code == 0)
      #expect(try await site.verify("old.pem", "sslserver").output.contains("certificate revoked"))
    }
  }

  @Test("Another authority's certificates and lists are refused")
  func foreign() async throws {
    try await Site.with { site, authority in
      let other = site.authority("other")
      _ = try other.create()
      _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      let file = "ca/issued/web-1/web-1.pem"
      #expect(try await site.verify(file, "sslserver", list: "other/crl.pem").code != 0)
      #expect(
        try await site.verify(file, "sslserver", list: "other/crl.pem", authority: "other/ca.pem").code != 0)
    }
  }

  @Test("The revocation list says what was revoked and why, and who signed it")
  func list() async throws {
    try await Site.with { site, authority in
      var serials: [String] = []
      for reason in RevocationReason.allCases {
        let issued = try authority.issue(CertificateRequest(name: reason.rawValue, role: .agent))
        serials.append("\(issued.record.serial)")
        _ = try authority.revoke(reason.rawValue, reason: reason)
      }
      let text = try await site.openssl("crl", "-in", "ca/crl.pem", "-noout", "-text", "-CAfile", "ca/ca.pem")
      #expect(text.code == 0 && text.output.contains("verify OK"), "\(text.output)")
      for phrase in [
        "Version 2 (0x1)", "Signature Algorithm: ecdsa-with-SHA256",
        "X509v3 CRL Number: \n                \(RevocationReason.allCases.count + 1)\n",
        "X509v3 Authority Key Identifier", "Last Update: May 31 23:55:00 2026 GMT",
        "Next Update: Jul  1 00:00:00 2026 GMT", "Key Compromise", "Affiliation Changed", "Superseded",
        "Cessation Of Operation", "Privilege Withdrawn",
      ] {
        #expect(text.output.contains(phrase), "\(phrase) is missing in \(text.output)")
      }
      for serial in serials { #expect(text.output.contains("Serial Number: \(serial.uppercased())")) }
      #expect(!text.output.contains("Unspecified"))
    }
  }

  @Test("A key is its certificate's")
  func keys() async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      for (key, certificate) in [
        ("ca/ca.key", "ca/ca.pem"), ("ca/issued/web-1/web-1.key", "ca/issued/web-1/web-1.pem"),
      ] {
        let public1 = try await site.openssl("pkey", "-in", key, "-pubout")
        let public2 = try await site.openssl("x509", "-in", certificate, "-noout", "-pubkey")
        #expect(public1.code == 0 && public1.output == public2.output)
        #expect(public1.output.contains("BEGIN PUBLIC KEY"))
      }
    }
  }

  @Test("From 2050 on times are written in their longer form")
  func farTimes() async throws {
    // 2049-12-31T00:00:00Z
    try await Site.with(time: HandTime(2_524_521_600_000)) { site, authority in
      let issued = try authority.issue(CertificateRequest(name: "web-1", role: .agent, days: 60))
      #expect(issued.record.notAfter == 2_524_521_600_000 + 60 * 86_400_000)
      #expect(try await site.verify("ca/issued/web-1/web-1.pem", "sslserver").code == 0)
      let list = try await site.openssl("crl", "-in", "ca/crl.pem", "-noout", "-lastupdate", "-nextupdate")
      #expect(list.output == "lastUpdate=Dec 30 23:55:00 2049 GMT\nnextUpdate=Jan 30 00:00:00 2050 GMT\n")
      #expect(try authority.read().list.nextUpdate == 2_524_521_600_000 + 30 * 86_400_000)
    }
  }
}
