import Certificates
import Testing

@Suite("Names of certificates")
struct NamesTests {
  @Test(
    "A name that could be a path, a host or an authority's own file is refused, and nothing is made for it",
    arguments: [
      "", ".", "..", "../x", "a/b", "/etc/passwd", "a\0b", "a b", "a\nb", "\u{1b}[31m", "é", "-a", "_a",
      "a_b", "*",
      "ca", "CA", "crl", String(repeating: "a", count: 64), "a\u{202e}b", "%2e%2e",
    ])
  func refused(name: String) async throws {
    try await Site.with { site, authority in
      let before = try site.names(".")
      let error = failure {
        try authority.issue(CertificateRequest(name: name, role: .controller))
      }
      #expect(error?.kind == .refused)
      #expect(failure { try authority.renew([name]) }?.kind == .refused)
      #expect(
        failure { try authority.revoke(name, reason: .unspecified) }?.kind
          == .refused)
      #expect(try site.names(".") == before)
    }
  }

  @Test(
    "A name that no host can have is no agent's", arguments: ["a..b", "a-", "a.-b", "a.", "a.b-.c"])
  func noHost(name: String) {
    #expect(CertificateName(name) != nil)
    let error = failure { try CertificateRequest(name: name, role: .agent) }
    #expect(error?.kind == .refused)
  }

  @Test(
    "Further names that are none",
    arguments: [
      "", "web", "dns:", "dns:*.example", "dns:a_b", "dns:-a", "dns:a..b", "dns:a.", "dns:192.0.2.7", "ip:",
      "ip:web",
      "ip:192.0.2", "ip:192.0.2.256", "ip:fe80::1%eth0", "ip:192.0.2.7/24", "ip:::g", "ip:192.0.2.7\0x",
      "ip: 1.2.3.4",
      "uri:http://x", "DNS:web", "dns:\u{1b}[31m", "dns:" + String(repeating: "a", count: 64),
      "dns:" + Array(repeating: "abcdefg", count: 32).joined(separator: "."),
    ])
  func noAlternative(text: String) {
    #expect(AlternativeName(text) == nil)
    let error = failure {
      try CertificateRequest(name: "web-1", role: .agent, alternativeNames: [text])
    }
    #expect(error?.kind == .refused)
    #expect(error?.description.contains("\u{1b}") == false)
  }

  @Test(
    "Further names in the form in which they are kept",
    arguments: [
      ("dns:Web-1.Example", "dns:web-1.example"), ("dns:1a", "dns:1a"), ("ip:192.0.2.7", "ip:192.0.2.7"),
      ("ip:2001:0DB8:0:0::0007", "ip:2001:db8::7"), ("ip:::", "ip:::"),
      ("ip:::ffff:192.0.2.7", "ip:::ffff:192.0.2.7"),
    ])
  func alternative(text: String, kept: String) {
    #expect(AlternativeName(text)?.description == kept)
    #expect(AlternativeName(kept)?.description == kept)
  }

  @Test("More names than a certificate should have")
  func many() {
    let names = (1...200).map { "dns:a\($0)" }
    let error = failure {
      try CertificateRequest(name: "web", role: .agent, alternativeNames: names)
    }
    #expect(error?.kind == .refused)
  }

  @Test("Days that a certificate can't last", arguments: [Int.min, -1, 0, 826, Int.max])
  func days(days: Int) async throws {
    let error = failure {
      try CertificateRequest(name: "web", role: .agent, days: days)
    }
    #expect(error?.kind == .refused)
    try await Site.bare { site in
      let lasting = days == 826 ? 7301 : days
      let error = failure { try site.authority().create(days: lasting) }
      let names = try site.names(".")
      #expect(error?.kind == .refused && names.isEmpty)
    }
  }

  @Test(
    "Serial numbers as people write them",
    arguments: [
      ("0a", "0a"), ("A", "0a"), ("00:0A:ff", "0aff"), ("0x1", nil), ("", nil), ("0", nil), ("-1", nil),
    ]
      + [
        (String(repeating: "f", count: 40), String(repeating: "f", count: 40)),
        (String(repeating: "f", count: 41), nil),
      ]
      as [(String, String?)])
  func serials(text: String, kept: String?) {
    #expect(CertificateSerial(text)?.description == kept)
  }
}
