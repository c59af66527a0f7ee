import FoundationEssentials
import Glibc
import Testing

@Suite("The verbs for certificates")
struct CertTests {
  private struct Row: Decodable {
    var serial: String
    var name: String
    var role: String
    var names: [String]
    var not_before: Int64
    var not_after: Int64
    var state: String
    var reason: String?
  }

  private struct Report: Decodable {
    struct End: Decodable {
      var what: String
      var name: String?
      var number: Int?
      var not_after: Int64
      var state: String
    }
    var sound: Bool
    var damage: [String]
    var ends: [End]
  }

  private func run(_ words: [String], in folder: Folder) async throws -> Program.Outcome {
    let outcome = try await Program.run(
      ["cert"] + words, in: folder, environment: ["SWITCHYARD_STATE": folder.path("state")])
    #expect(outcome.output.hasOnlyText && outcome.errors.hasOnlyText)
    return outcome
  }

  private func decode<Value: Decodable>(_ outcome: Program.Outcome) throws -> Value {
    try JSONDecoder().decode(Value.self, from: Data(outcome.output.utf8))
  }

  @Test("What is issued, renewed and revoked is told to machines, too")
  func json() async throws {
    try await Folder.with { folder in
      #expect(try await run(["init"], in: folder).code == 0)
      for (words, state) in [
        (["issue", "web-1"], "valid"), (["renew", "web-1"], "valid"), (["revoke", "web-1"], "revoked"),
      ] {
        let rows: [Row] = try decode(try await run(words + ["--output", "json"], in: folder))
        #expect(!rows.isEmpty && rows.allSatisfy { $0.name == "web-1" && $0.state == state })
      }
      let due: [Row] = try decode(try await run(["renew", "--all", "--output", "json"], in: folder))
      #expect(due.isEmpty, "its certificates are revoked")
    }
  }

  @Test("An authority is made below the state folder, issues, renews, revokes and lists")
  func whole() async throws {
    try await Folder.with { folder in
      let made = try await run(["init", "--name", "Test authority"], in: folder)
      #expect(made.code == 0 && made.output.contains(folder.path("state/authority")))
      for words in [
        ["issue", "web-1", "--san", "ip:192.0.2.7", "--san", "dns:web"],
        ["issue", "desk", "--role", "controller"],
        ["renew", "web-1", "--days", "400"], ["revoke", "desk", "--reason", "keyCompromise"], ["crl"],
      ] {
        let outcome = try await run(words, in: folder)
        #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(words): \(outcome.errors)")
        #expect(!outcome.output.contains("PRIVATE"))
      }
      let rows: [Row] = try decode(try await run(["list", "--output", "json"], in: folder))
      #expect(rows.map(\.name) == ["web-1", "desk", "web-1"])
      #expect(rows.map(\.state) == ["valid", "revoked", "valid"])
      #expect(rows.map(\.role) == ["agent", "controller", "agent"])
      #expect(
        rows.last?.names == ["dns:web-1", "ip:192.0.2.7", "dns:web"] && rows[1].reason == "keyCompromise")
      let list = try await run(["list"], in: folder)
      #expect(list.code == 0 && rows.allSatisfy { list.output.contains($0.serial) })
      // By its number, as OpenSSL writes it.
      let one = try await run(["revoke", "--serial", rows[0].serial.uppercased()], in: folder)
      #expect(one.code == 0 && one.output == "web-1: serial \(rows[0].serial) is revoked\n")
      let issued = folder.path("state/authority/issued/web-1/")
      let checked = try await Program.run(
        [
          "verify", "-CAfile", issued + "ca.pem", "-crl_check", "-CRLfile",
          folder.path("state/authority/crl.pem"),
          issued + "web-1.pem",
        ], of: "/usr/bin/openssl", in: folder)
      #expect(checked.code == 0, "\(checked.errors)")
      let subject = try await Program.run(
        ["x509", "-in", issued + "ca.pem", "-noout", "-subject"], of: "/usr/bin/openssl", in: folder)
      #expect(subject.output == "subject=CN = Test authority\n")
    }
  }

  @Test("Status ends with 0 when all is well, 7 when something ends soon, 1 when the authority is damaged")
  func status() async throws {
    try await Folder.with { folder in
      let place = ["--authority", folder.path("ca")]
      #expect(try await run(["init"] + place, in: folder).code == 0)
      #expect(try await run(["issue", "web-1", "--days", "20"] + place, in: folder).code == 0)
      let well = try await run(["status", "--warn", "10d"] + place, in: folder)
      #expect(well.code == 0 && well.errors.isEmpty && well.output.hasSuffix("\(folder.path("ca")): sound\n"))
      let soon = try await run(["status", "--output", "json"] + place, in: folder)
      #expect(soon.code == 7 && soon.errors.isEmpty)
      let report: Report = try decode(soon)
      #expect(report.sound && report.damage.isEmpty)
      #expect(report.ends.map(\.what) == ["authority", "list", "certificate"])
      #expect(report.ends.map(\.state) == ["far", "far", "near"])
      #expect(report.ends[1].number == 1 && report.ends[2].name == "web-1")
      #expect(
        try await run(["renew", "--all", "--within", "30d", "--days", "90"] + place, in: folder).code == 0)
      #expect(try await run(["status"] + place, in: folder).code == 0)
      let idle = try await run(["renew", "--all", "--within", "30d"] + place, in: folder)
      #expect(idle.code == 0 && idle.output == "nothing is due\n")

      let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path("ca")).sorted()
      try folder.write("\u{1b}[2J", to: "ca/crl.pem")
      let damaged = try await run(["status"] + place, in: folder)
      #expect(damaged.code == 1 && damaged.output.contains("crl.pem") && damaged.errors.contains("damaged"))
      let asJSON: Report = try decode(try await run(["status", "--output", "json"] + place, in: folder))
      #expect(!asJSON.sound && asJSON.damage.count == 1)
      #expect(try await run(["list"] + place, in: folder).code == 1)
      #expect(try await run(["issue", "web-2"] + place, in: folder).code == 1)
      #expect(try FileManager.default.subpathsOfDirectory(atPath: folder.path("ca")).sorted() == names)
      #expect(try await run(["crl"] + place, in: folder).code == 0)
      #expect(try await run(["status"] + place, in: folder).code == 0)
    }
  }

  @Test(
    "Without an authority nothing is made",
    arguments: [["list"], ["status"], ["issue", "a"], ["renew", "--all"], ["crl"], ["revoke", "a"]])
  func none(words: [String]) async throws {
    try await Folder.with { folder in
      let before = try folder.names()
      let outcome = try await run(words, in: folder)
      outcome.isRefused(at: folder.path("state/authority"), saying: ["switchyard cert init"])
      #expect(try folder.names() == before)
    }
  }

  @Test(
    "Words that can't be are refused, and nothing is issued",
    arguments: [
      (["issue"], "name"), (["issue", "../x"], "../x"), (["issue", "\u{1b}[2J"], "\\u{1b}"),
      (["issue", "ca"], "ca"),
      (["issue", "a", "--san", "web"], "dns:"), (["issue", "a", "--san", "ip:\u{202e}1"], "\\u{202e}"),
      (["issue", "a", "--role", "root"], "--role"), (["issue", "a", "--days", "0"], "825"),
      (["issue", "a", "--days", "x"], "--days"), (["issue", "a", "--out", ""], "folder"),
      (["issue", "a", "--out", "/dev/null"], "/dev/null"), (["issue", "a", "--authority", ""], "folder"),
      (["renew"], "--all"), (["renew", "a", "--all"], "--all"), (["renew", "nobody"], "nobody"),
      (["renew", "--all", "--within", "soon"], "--within"), (["renew", "--all", "--out", "x"], "one by one"),
      (["revoke"], "--serial"), (["revoke", "a", "--serial", "0a"], "--serial"),
      (["revoke", "nobody"], "nobody"),
      (["revoke", "--serial", "xyz"], "--serial"), (["revoke", "--serial", "0a"], "0a"),
      (["revoke", "a", "--reason", "why"], "--reason"), (["status", "--warn", "soon"], "--warn"),
      (["init"], "already"),
      (["init", "--days", "0"], "7300"), (["init", "--name", "a\nb"], "name"),
    ])
  func refused(words: [String], phrase: String) async throws {
    try await Folder.with { folder in
      #expect(try await run(["init"], in: folder).code == 0)
      let before = try FileManager.default.subpathsOfDirectory(atPath: folder.path("state")).sorted()
      let outcome = try await run(words, in: folder)
      // A path that can't be used is the machine's fault as much as the words'.
      #expect(outcome.code == 2 || words.contains("/dev/null"), "\(outcome.errors)")
      #expect(outcome.output.isEmpty && outcome.errors.contains(phrase), "\(outcome.errors)")
      #expect(try FileManager.default.subpathsOfDirectory(atPath: folder.path("state")).sorted() == before)
    }
  }

  @Test("Several programs that issue at once lose nothing")
  func atOnce() async throws {
    try await Folder.with { folder in
      #expect(try await run(["init"], in: folder).code == 0)
      try await withThrowingTaskGroup(of: Int32.self) { group in
        for number in 1...6 {
          group.addTask { try await run(["issue", "web-\(number)"], in: folder).code }
        }
        for try await code in group { #expect(code == 0) }
      }
      let rows: [Row] = try decode(try await run(["list", "--output", "json"], in: folder))
      #expect(rows.map(\.name).sorted() == (1...6).map { "web-\($0)" })
    }
  }

  @Test("A key that others may read is not used")
  func openKey() async throws {
    try await Folder.with { folder in
      #expect(try await run(["init"], in: folder).code == 0)
      #expect(chmod(folder.path("state/authority/ca.key"), 0o644) == 0)
      let outcome = try await run(["issue", "web-1"], in: folder)
      #expect(outcome.code == 1 && outcome.errors.contains("chmod 600") && outcome.output.isEmpty)
      #expect(try await run(["status"], in: folder).code == 1)
    }
  }
}
