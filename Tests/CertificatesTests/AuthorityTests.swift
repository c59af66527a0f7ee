import Certificates
import Dispatch
import FoundationEssentials
import Glibc
import Synchronization
import Testing

@Suite("An authority in a folder")
struct AuthorityTests {
  @Test("It is for its owner alone from the beginning, and says no key anywhere")
  func modes() async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
      _ = try authority.revoke("web-1", reason: .keyCompromise)
      for folder in ["ca", "ca/issued", "ca/issued/web-1"] { #expect(site.mode(folder) == 0o700) }
      for key in ["ca/ca.key", "ca/issued/web-1/web-1.key"] { #expect(site.mode(key) == 0o600) }
      #expect(
        try site.names("ca") == [
          "ca.key", "ca.pem", "crl.pem", "index.json", "issued", "issued/web-1", "issued/web-1/ca.pem",
          "issued/web-1/crl.pem", "issued/web-1/web-1.key", "issued/web-1/web-1.pem",
        ])
      for key in ["ca/ca.key", "ca/issued/web-1/web-1.key"] {
        let secret = try site.text(key).split(separator: "\n").dropFirst().first ?? ""
        #expect(secret.count == 64)
        for name in try site.names("ca") where name.hasSuffix(".pem") || name.hasSuffix(".json") {
          let text = try site.text("ca/" + name)
          #expect(!text.contains(secret) && !text.contains("PRIVATE"))
        }
      }
    }
  }

  @Test("It is never made where anything is, and what is there stays")
  func taken() async throws {
    try await Site.with { site, authority in
      let before = try site.bytes("ca/ca.key")
      #expect(failure { try authority.create() }?.kind == .refused)
      #expect(try site.bytes("ca/ca.key") == before)
      mkdir(site.path("full"), 0o700)
      try site.overwrite("full/x", [1])
      try site.overwrite("file", [1])
      symlink("ca", site.path("link"))
      symlink("nowhere", site.path("loose"))
      let names = try site.names(".")
      for name in ["full", "file", "link", "loose", "file/below"] {
        #expect(failure { try site.authority(name).create() }?.kind != .damaged)
      }
      #expect(try site.names(".") == names)
    }
  }

  @Test("It is made in an empty folder, and in folders that are not there yet")
  func madeAnywhere() async throws {
    try await Site.bare { site in
      mkdir(site.path("empty"), 0o755)
      for name in ["empty", "new/deep/ca", "slash/"] {
        _ = try site.authority(name).create(named: "An authority")
        #expect(site.mode(name.hasSuffix("/") ? String(name.dropLast()) : name) == 0o700)
      }
      #expect(failure { try site.authority("").create() } != nil)
      for name in ["", " ", "a\nb", "é", String(repeating: "a", count: 65)] {
        let error = failure { try site.authority("x").create(named: name) }
        #expect(error?.kind == .refused)
      }
    }
  }

  @Test("Nothing is made by looking for one")
  func nothingThere() async throws {
    try await Site.bare { site in
      let authority = site.authority()
      for error in [
        failure { try authority.read() },
        failure { try authority.inspect() },
        failure { try authority.signList() },
        failure { try authority.renew() },
      ] {
        #expect(error?.kind == .refused && error?.description.contains("cert init") == true)
      }
      let names = try site.names(".")
      #expect(names.isEmpty)
    }
  }

  @Test("Who has a certificate that counts gets no second one; once it is revoked or past, a new one")
  func live() async throws {
    try await Site.with { site, authority in
      let request = try CertificateRequest(name: "web-1", role: .agent, days: 10)
      let first = try authority.issue(request)
      let error = failure { try authority.issue(request) }
      #expect(error?.kind == .refused && error?.hint.contains("renew") == true)
      _ = try authority.revoke("web-1", reason: .superseded)
      let second = try authority.issue(request)
      #expect(second.record.serial != first.record.serial)
      site.time.pass(days: 11)
      _ = try authority.issue(request)
      let states = try authority.read().records.map { $0.state(at: site.time.wall) }
      #expect(states == [.revoked, .expired, .valid])
      #expect(failure { try authority.renew(["nobody"]) }?.kind == .refused)
    }
  }

  @Test(
    "Of many agents those get a certificate that have none that counts, and all are read at once, each with its own failure"
  )
  func issueMissing() async throws {
    try await Site.with { site, authority in
      for name in ["a", "b"] { _ = try authority.issue(CertificateRequest(name: name, role: .agent)) }
      _ = try authority.revoke("b", reason: .superseded)
      let names = (0..<120).map { "n\($0)" }
      let requests = try (["a", "b"] + names).map { try CertificateRequest(name: $0, role: .agent) }
      let missing = try authority.missing(requests)
      #expect(missing.map(\.name.text) == ["b"] + names)
      #expect(try authority.missing(requests) == missing, "to ask issues nothing")
      let (issued, failure) = try authority.issueMissing(requests)
      #expect(failure == nil && issued.map(\.name.text) == ["b"] + names)
      #expect(try authority.missing(requests).isEmpty, "they have one now")
      #expect(try authority.issueMissing(requests).issued.isEmpty)
      let found = try authority.credentials(of: ["n7", "nobody", "b"])
      #expect(try found[0].get().record == issued[8])
      #expect(throws: AuthorityError.self) { try found[1].get() }
      #expect(try found[2].get().record == issued[0])
      // What a hundred's issue left behind when it was broken off: records without files, or with one of them.
      for (name, files) in [("n3", ["n3.key", "n3.pem"]), ("n4", ["n4.pem"])] {
        for file in files { #expect(unlink("\(authority.directory)/issued/\(name)/\(file)") == 0) }
      }
      #expect(try authority.issueMissing(requests + requests).issued.map(\.name.text) == ["n3", "n4"])
      #expect(try authority.credentials(of: names).allSatisfy { (try? $0.get()) != nil })
    }
  }

  @Test("All that end soon are renewed at once, for as long as before, and what is revoked is left alone")
  func renewAll() async throws {
    try await Site.with { site, authority in
      for (name, days) in [("a", 10), ("b", 100), ("c", 10), ("d", 12)] {
        _ = try authority.issue(CertificateRequest(name: name, role: .agent, days: days))
      }
      _ = try authority.revoke("c", reason: .cessationOfOperation)
      let renewed = try authority.renew(within: 30 * 86_400_000)
      #expect(renewed.map(\.record.name.text) == ["a", "d"])
      #expect(renewed.map(\.record.days) == [10, 12])
      site.time.pass(days: 1)
      #expect(try authority.renew(within: 86_400_000).isEmpty)
      #expect(try authority.renew(["a", "b", "a"], days: 5).map(\.record.name.text) == ["a", "b"])
      #expect(failure { try authority.renew(["a", "c"]) }?.kind == .refused)
      #expect(try authority.read().records.count == 8, "one that can't be renewed keeps the others from it")
    }
  }

  @Test("A certificate ends with its authority at the latest")
  func outlives() async throws {
    try await Site.bare { site in
      let authority = site.authority()
      let made = try authority.create(days: 30)
      let issued = try authority.issue(CertificateRequest(name: "web-1", role: .agent, days: 90))
      #expect(issued.record.notAfter == made.notAfter && issued.record.days == 90)
      site.time.pass(days: 31)
      let error = failure { try authority.renew(["web-1"]) }
      #expect(error?.kind == .refused && error?.message.contains("expired") == true)
    }
  }

  @Test("Nothing is signed by a clock that is wrong")
  func clock() async throws {
    try await Site.with { site, authority in
      site.time.pass(days: -1)
      #expect(failure { try authority.signList() }?.hint == "set the clock")
      site.time.pass(days: 11)
      _ = try authority.signList()
      site.time.pass(days: -5)
      let request = try CertificateRequest(name: "web-1", role: .agent)
      #expect(failure { try authority.issue(request) }?.hint == "set the clock")
      for wall in [0, Int64.max, Int64.min] {
        let other = Authority(directory: site.path("other"), time: HandTime(wall))
        #expect(failure { try other.create() }?.kind == .refused)
      }
    }
  }

  @Test("Nothing is signed by chance that repeats itself")
  func chance() async throws {
    try await Site.bare(time: HandTime(HandTime.start, chance: 7)) { site in
      let authority = site.authority()
      _ = try authority.create()
      _ = try authority.issue(CertificateRequest(name: "a", role: .agent))
      let before = try site.names("ca")
      let request = try CertificateRequest(name: "b", role: .agent)
      #expect(failure { try authority.issue(request) }?.kind == .unusable)
      #expect(try site.names("ca") == before + ["issued/b"])
      let zeros = Authority(directory: site.path("zeros"), time: HandTime(HandTime.start, chance: 0))
      #expect(failure { try zeros.create() }?.kind == .unusable)
    }
  }

  @Test("Serial numbers are positive, and of 159 random bits")
  func serials() async throws {
    try await Site.bare(time: HandTime(HandTime.start, chance: .max)) { site in
      let authority = site.authority()
      _ = try authority.create()
      let issued = try authority.issue(CertificateRequest(name: "a", role: .agent))
      #expect(issued.record.serial.description == "7f" + String(repeating: "ff", count: 19))
      let text = try await site.openssl("x509", "-in", "ca/issued/a/a.pem", "-noout", "-serial")
      #expect(text.output == "serial=7F\(String(repeating: "FF", count: 19))\n")
    }
  }

  @Test("Several that issue at once lose nothing, and of those for one name one wins")
  func atOnce() async throws {
    try await Site.with { site, authority in
      let wins = Mutex(0)
      let failures = Mutex<[String]>([])
      await withCheckedContinuation { done in
        DispatchQueue.global().async {
          DispatchQueue.concurrentPerform(iterations: 12) { number in
            do throws(AuthorityError) {
              let name = number < 6 ? "host-\(number)" : "same"
              _ = try authority.issue(CertificateRequest(name: name, role: .agent))
              if number >= 6 { wins.withLock { $0 += 1 } }
            } catch {
              failures.withLock { $0.append(error.hint) }
            }
          }
          done.resume()
        }
      }
      #expect(wins.withLock { $0 } == 1)
      #expect(
        failures.withLock { $0 }.count == 5 && failures.withLock { $0 }.allSatisfy { $0.contains("renew") })
      let names = try authority.read().records.map(\.name.text).sorted()
      #expect(names == ["host-0", "host-1", "host-2", "host-3", "host-4", "host-5", "same"])
    }
  }

  @Test("What ends soon is told, of each name the newest certificate")
  func expiries() async throws {
    try await Site.with { site, authority in
      _ = try authority.issue(CertificateRequest(name: "a", role: .agent, days: 10))
      _ = try authority.issue(CertificateRequest(name: "b", role: .agent, days: 10))
      _ = try authority.issue(CertificateRequest(name: "c", role: .agent, days: 10))
      _ = try authority.renew(["a"], days: 80)
      _ = try authority.revoke("c", reason: .cessationOfOperation)
      func nearness(_ days: Int64) throws -> [String] {
        try authority.read().expiries(at: site.time.wall, warning: days * 86_400_000).map { expiry in
          switch expiry.thing {
          case .authority: "authority \(expiry.nearness)"
          case .list: "list \(expiry.nearness)"
          case .certificate(let record): "\(record.name) \(expiry.nearness)"
          }
        }
      }
      #expect(try nearness(9) == ["authority far", "list far", "a far", "b far"])
      // A list's life is as long as this warning: it is warned of in its last third.
      #expect(try nearness(30) == ["authority far", "list far", "a far", "b near"])
      site.time.pass(days: 21)
      #expect(try nearness(30) == ["authority far", "list near", "a far", "b past"])
      site.time.pass(days: 10)
      #expect(try nearness(1) == ["authority far", "list past", "a far", "b past"])
      _ = try authority.signList()
      #expect(try nearness(1) == ["authority far", "list far", "a far", "b past"])
    }
  }
}
