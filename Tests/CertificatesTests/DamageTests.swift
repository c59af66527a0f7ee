import Certificates
import Glibc
import Testing

@Suite("A damaged authority")
struct DamageTests {
  /// Checks that nothing is signed, that a look tells of it, and answers with what it tells.
  private func isSeen(_ authority: Authority, _ site: Site) throws -> [AuthorityError] {
    let before = try site.names("ca")
    let request = try CertificateRequest(name: "new", role: .agent)
    let error = failure { try authority.issue(request) }
    #expect(error?.kind != .refused)
    let damage = try authority.inspect().damage
    #expect(!damage.isEmpty)
    #expect(
      damage.allSatisfy { $0.description.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f } })
    #expect(try site.names("ca") == before)
    return damage
  }

  @Test(
    "A file that is missing, empty, cut, nonsense or another's",
    arguments: ["ca.pem", "ca.key", "crl.pem", "index.json"])
  func files(name: String) async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      _ = try authority.revoke("web-1", reason: .keyCompromise)
      let other = site.authority("other")
      _ = try other.create()
      let path = "ca/" + name
      let good = try site.bytes(path)
      var bad: [[UInt8]] = [
        [], [0], Array("\u{1b}[2J".utf8), Array(repeating: 0xff, count: 1000), Array("{}".utf8), good + good,
      ]
      // Another authority's index has nothing that says so: the list beside it does.
      bad.append(try site.bytes("other/" + name))
      bad += stride(from: 1, to: good.count - 2, by: max(1, good.count / 40)).map { Array(good.prefix($0)) }
      for bytes in bad {
        try site.overwrite(path, bytes)
        _ = try isSeen(authority, site)
      }
      unlink(site.path(path))
      _ = try isSeen(authority, site)
      // Neither a folder nor a pipe in its place holds anybody up.
      mkdir(site.path(path), 0o700)
      _ = try isSeen(authority, site)
      rmdir(site.path(path))
      mkfifo(site.path(path), 0o600)
      _ = try isSeen(authority, site)
      unlink(site.path(path))
      try site.overwrite("elsewhere", good)
      symlink(site.path("elsewhere"), site.path(path))
      #expect(try isSeen(authority, site).contains { $0.message.contains("link") })
      unlink(site.path(path))
      try site.overwrite(path, good)
      #expect(try authority.inspect().damage.isEmpty)
    }
  }

  @Test(
    "An index in which a value is not what an authority writes",
    arguments: [
      ("\"version\" : 1", "\"version\" : 2"), ("\"list\" : 2", "\"list\" : 0"),
      ("\"list\" : 2", "\"list\" : -2"),
      ("\"list\" : 2", "\"list\" : 9223372036854775807"), ("\"list\" : 2", "\"list\" : 1e300"),
      ("\"list\" : 2", "\"list\" : null"), ("\"web-1\"", "\"../web-1\""), ("\"web-1\"", "\"a\\u0000b\""),
      ("\"web-1\"", "7"), ("\"dns:web-1\"", "\"dns:*\""), ("\"agent\"", "\"root\""),
      ("\"days\" : 90", "\"days\" : 0"),
      ("\"keyCompromise\"", "\"\\u001b[2J\""), ("\"keyCompromise\"", "null"),
      ("\"not_after\" : 1", "\"not_after\" : -1"), ("\"not_after\" : 1", "\"not_after\" : 9999999999"),
      ("\"serial\" : \"", "\"serial\" : \"x"), ("\"revoked_at\" : 1", "\"revoked_at\" : -1"),
    ])
  func indexValues(good: String, bad: String) async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      _ = try authority.revoke("web-1", reason: .keyCompromise)
      let text = try site.text("ca/index.json")
      let place = try #require(text.firstRange(of: good), "\(text)")
      try site.overwrite(
        "ca/index.json",
        Array(text.replacing(good, with: bad, subrange: place.lowerBound..<place.upperBound).utf8))
      #expect(
        try isSeen(authority, site).contains { $0.kind == .damaged && $0.message.contains("index.json") })
    }
  }

  @Test("The same certificate twice in the index")
  func twice() async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      let text = try site.text("ca/index.json")
      let begin = try #require(text.firstRange(of: "["), "\(text)").upperBound
      let end = try #require(text.lastIndex(of: "]"))
      // The list of certificates is the outermost one.
      let row = text[begin..<end]
      try site.overwrite("ca/index.json", Array((text[..<begin] + row + "," + row + text[end...]).utf8))
      #expect(try isSeen(authority, site).contains { $0.message.contains("twice") })
    }
  }

  @Test("An index that is older than the list would take revocations back: nothing is signed from it")
  func oldIndex() async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      let old = try site.bytes("ca/index.json")
      _ = try authority.revoke("web-1", reason: .keyCompromise)
      let list = try site.bytes("ca/crl.pem")
      try site.overwrite("ca/index.json", old)
      #expect(try isSeen(authority, site).contains { $0.message.contains("older") })
      #expect(failure { try authority.signList() }?.kind == .damaged)
      #expect(try site.bytes("ca/crl.pem") == list)
    }
  }

  @Test(
    "A list that a crash left behind the index, and one that is lost or damaged, is signed anew with all that is revoked"
  )
  func oldList() async throws {
    try await Site.with { site, authority in
      let issued = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      let old = try site.bytes("ca/crl.pem")
      _ = try authority.revoke("web-1", reason: .keyCompromise)
      for (bytes, number) in [(old, 3), (Array("nonsense".utf8), 4)] as [([UInt8], Int64)] {
        try site.overwrite("ca/crl.pem", bytes)
        _ = try isSeen(authority, site)
        let list = try authority.signList()
        #expect(list.number == number && list.isRevoked(issued.record.serial))
        #expect(try authority.inspect().damage.isEmpty)
      }
      unlink(site.path("ca/crl.pem"))
      #expect(try isSeen(authority, site).contains { $0.hint.contains("cert crl") })
      #expect(try authority.signList().isRevoked(issued.record.serial))
      #expect(try await site.verify("ca/issued/web-1/web-1.pem", "sslserver").output.contains("revoked"))
    }
  }

  @Test("A key that others may read is not used", arguments: [0o640, 0o604, 0o644, 0o660, 0o777] as [mode_t])
  func openKey(mode: mode_t) async throws {
    try await Site.with { site, authority in
      chmod(site.path("ca/ca.key"), mode)
      let damage = try isSeen(authority, site)
      #expect(damage.contains { $0.message.contains("ca.key") })
      #expect(failure { try authority.signList() }?.kind == .damaged)
      chmod(site.path("ca/ca.key"), 0o600)
      #expect(try authority.inspect().damage.isEmpty)
    }
  }

  @Test("A folder that others may enter is not used, and neither is a link to one")
  func openFolder() async throws {
    try await Site.with { site, authority in
      chmod(site.path("ca"), 0o750)
      let damage = try isSeen(authority, site)
      #expect(damage.contains { $0.message.contains("mode 750") })
      chmod(site.path("ca"), 0o700)
      symlink("ca", site.path("link"))
      for name in ["link", "link/"] {
        #expect(
          failure { try site.authority(name).read() }?.message.contains("link")
            == true)
      }
    }
  }

  @Test("A certificate that is no authority's makes none")
  func noAuthority() async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      try site.overwrite("ca/ca.pem", try site.bytes("ca/issued/web-1/web-1.pem"))
      #expect(
        try isSeen(authority, site).contains { $0.message.contains("not the certificate of an authority") })
      for words in [
        ["-newkey", "rsa:2048"], ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        [
          "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-addext",
          "keyUsage=critical,digitalSignature",
        ],
      ] {
        let made = try await site.request(words)
        #expect(made.code == 0, "\(made.output)")
        try site.overwrite("ca/ca.pem", try site.bytes("made.pem"))
        _ = try isSeen(authority, site)
      }
    }
  }
}

extension Site {
  /// Lets OpenSSL make a certificate that signs itself.
  fileprivate func request(_ words: [String]) async throws -> Outcome {
    try await openssl(
      ["req", "-x509", "-nodes", "-subj", "/CN=x", "-keyout", "made.key", "-out", "made.pem"] + words)
  }
}
