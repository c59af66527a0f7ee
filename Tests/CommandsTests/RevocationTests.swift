import Certificates
import FoundationEssentials
import Ports
import RolloutModel
import Testing

@testable import Commands

@Suite("The revocation list that a controller goes by")
struct RevocationTests {
  /// A clock that stands.
  private struct Still: Timekeeper {
    var wall: Int64
    var now: Moment { Moment(milliseconds: wall) }
    var chance: UInt64 { UInt64.random(in: .min ... .max) }
    func sleep(_ span: Span) async throws {}
  }

  /// 2026-06-01T00:00:00Z.
  private static let start: Int64 = 1_780_272_000_000
  private static let day: Int64 = 86_400_000

  /// An authority with one agent's files, made at the start; and its list signed anew so many days later.
  private static func authority(in folder: Folder, signedAnewAfter days: Int64? = nil) throws -> String {
    let place = folder.path("ca")
    let authority = Authority(directory: place, time: Still(wall: start))
    _ = try authority.create()
    _ = try authority.issue(CertificateRequest(name: "web-1", role: .agent))
    if let days {
      _ = try Authority(directory: place, time: Still(wall: start + days * day)).signList()
    }
    return place
  }

  @Test("A list whose time is over is warned of, with its path, its end and what to do")
  func ended() async throws {
    try await Folder.with { folder in
      let place = try Self.authority(in: folder)
      let found = try #require(try FoundRevocations.newest(authority: place + "/ca.pem"))
      #expect(found.warning(at: Self.start) == nil)
      #expect(found.warning(at: found.list.nextUpdate) == nil)
      let warning = try #require(found.warning(at: found.list.nextUpdate + 1))
      for phrase in ["\(place)/crl.pem", "2026-07-01T00:00:00Z", "switchyard cert crl", "copy its newest"] {
        #expect(warning.contains(phrase), "\(warning)")
      }
    }
  }

  @Test("Where the authority has signed a newer list, the copy of the day of issue doesn't matter")
  func newer() async throws {
    try await Folder.with { folder in
      let place = try Self.authority(in: folder, signedAnewAfter: 40)
      let issued = "\(place)/issued/web-1"
      let found = try #require(try FoundRevocations.newest(authority: issued + "/ca.pem"))
      #expect(found.path == "\(issued)/../../crl.pem")
      #expect(found.warning(at: Self.start + 45 * Self.day) == nil)
      // The copy alone, as on another machine.
      try folder.write(Array(try Data(contentsOf: URL(filePath: issued + "/ca.pem"))), to: "ca.pem")
      try folder.write(Array(try Data(contentsOf: URL(filePath: issued + "/crl.pem"))), to: "crl.pem")
      let copy = try #require(try FoundRevocations.newest(authority: folder.path("ca.pem")))
      #expect(copy.warning(at: Self.start + 45 * Self.day)?.contains(folder.path("crl.pem")) == true)
    }
  }

  @Test("Where there is none, there is nothing to warn of")
  func none() async throws {
    try await Folder.with { folder in
      let place = try Self.authority(in: folder)
      try folder.write(Array(try Data(contentsOf: URL(filePath: place + "/ca.pem"))), to: "ca.pem")
      #expect(try FoundRevocations.newest(authority: folder.path("ca.pem")) == nil)
    }
  }

  @Test("The program warns once, and goes on")
  func program() async throws {
    try await Folder.with { folder in
      let place = folder.path("ca")
      let authority = Authority(directory: place, time: Still(wall: 1_600_000_000_000))
      _ = try authority.create()
      _ = try authority.issue(CertificateRequest(name: "desk", role: .controller))
      let desk = "\(place)/issued/desk/desk"
      try folder.write(
        "\(Folder.agent)\ndoor: rpc\n"
          + "rpc: {port: 1, authority: \(place)/ca.pem, certificate: \(desk).pem, key: \(desk).key}\n",
        to: "agent.yml")
      try folder.write("[web]\nw1 ansible_host=127.0.0.1\nw2 ansible_host=127.0.0.1\n", to: "hosts.ini")
      let outcome = try await Program.run(
        ["hosts", "check", "--inventory", folder.path("hosts.ini"), "--agent", folder.path("agent.yml")],
        in: folder)
      let warnings = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("WARNING: ") }
      #expect(warnings.count == 1, "\(outcome.errors)")
      #expect(warnings.first?.contains("\(place)/crl.pem") == true)
      #expect(outcome.output.contains("w1") && outcome.output.contains("w2"))
    }
  }
}
