import Certificates
import Glibc
import Testing

@Suite("Where a certificate's files go")
struct DeliveryTests {
  @Test("Into a folder that is named, made where it is missing; the authority keeps none of them")
  func named() async throws {
    try await Site.with { site, authority in
      let request = try CertificateRequest(name: "web-1", role: .agent)
      let issued = try authority.issue(request, to: site.path("out/"))
      #expect(issued.folder == site.path("out"))
      #expect(try site.names("out") == ["ca.pem", "crl.pem", "web-1.key", "web-1.pem"])
      #expect(site.mode("out/web-1.key") == 0o600 && site.mode("out/web-1.pem") == 0o644)
      #expect(try site.bytes("out/ca.pem") == site.bytes("ca/ca.pem"))
      #expect(try site.bytes("out/crl.pem") == site.bytes("ca/crl.pem"))
      #expect(try !site.names("ca").contains("issued"))
      // The same authority's files are replaced.
      let before = try site.bytes("out/web-1.key")
      _ = try authority.renew(["web-1"], to: site.path("out"))
      #expect(try site.bytes("out/web-1.key") != before && site.mode("out/web-1.key") == 0o600)
      let several = failure { try authority.renew(to: site.path("out")) }
      #expect(several?.kind == .refused)
    }
  }

  @Test("Files that did not come from this authority are not replaced, and nothing is issued")
  func others() async throws {
    try await Site.with { site, authority in
      let request = try CertificateRequest(name: "web-1", role: .agent)
      for name in ["ca.pem", "crl.pem", "web-1.key", "web-1.pem"] {
        mkdir(site.path(name + ".d"), 0o700)
        try site.overwrite("\(name).d/\(name)", [1])
        let error = failure {
          try authority.issue(request, to: site.path(name + ".d"))
        }
        #expect(error?.kind == .refused && error?.message.contains(name) == true)
        #expect(try site.names(name + ".d") == [name] && site.bytes("\(name).d/\(name)") == [1])
      }
      #expect(try authority.read().records.isEmpty)
    }
  }

  @Test("A link, a file, a folder that others may write to, and one below nothing are refused")
  func refused() async throws {
    try await Site.with { site, authority in
      let request = try CertificateRequest(name: "web-1", role: .agent)
      for (name, mode) in [("real", 0o700), ("group", 0o770), ("world", 0o777), ("sticky", 0o1777)]
        as [(String, mode_t)]
      {
        mkdir(site.path(name), 0o700)
        chmod(site.path(name), mode)
      }
      symlink("real", site.path("link"))
      symlink("nowhere", site.path("loose"))
      try site.overwrite("file", [1])
      for name in [
        "link", "link/", "loose", "group", "world", "sticky", "file", "no/where", "world/below", "real\0x",
      ] {
        let error = failure { try authority.issue(request, to: site.path(name)) }
        #expect(error != nil && error?.kind != .damaged, "\(name)")
      }
      #expect(failure { try authority.issue(request, to: "") }?.kind == .refused)
      #expect(try authority.read().records.isEmpty)
      for name in ["real", "group", "world", "sticky"] { #expect(try site.names(name).isEmpty) }
    }
  }

  @Test(
    "A link in the place of the authority's own folders is refused",
    arguments: ["ca/issued", "ca/issued/web-1"])
  func ownLinks(name: String) async throws {
    try await Site.with { site, authority in
      mkdir(site.path("elsewhere"), 0o700)
      if name != "ca/issued" { mkdir(site.path("ca/issued"), 0o700) }
      symlink(site.path("elsewhere"), site.path(name))
      let request = try CertificateRequest(name: "web-1", role: .agent)
      #expect(
        failure { try authority.issue(request) }?.message.contains("link")
          == true)
      #expect(try site.names("elsewhere").isEmpty)
      #expect(try authority.read().records.isEmpty)
    }
  }

  @Test("A link in the place of a file is replaced, and not followed")
  func fileLinks() async throws {
    try await Site.with { site, authority in
      let request = try CertificateRequest(name: "web-1", role: .agent)
      _ = try authority.issue(request)
      try site.overwrite("precious", [1])
      unlink(site.path("ca/issued/web-1/web-1.key"))
      symlink(site.path("precious"), site.path("ca/issued/web-1/web-1.key"))
      _ = try authority.renew(["web-1"])
      #expect(try site.bytes("precious") == [1])
      #expect(site.mode("ca/issued/web-1/web-1.key") == 0o600)
    }
  }
}
