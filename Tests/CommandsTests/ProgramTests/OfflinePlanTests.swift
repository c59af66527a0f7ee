import FoundationEssentials
import Testing

@Suite("Plans without asking the hosts")
struct OfflinePlanTests {
  /// A ready policy, and its waves over 200 hosts: name, hosts, most at once, soak, approval.
  struct Ready: Sendable, CustomStringConvertible {
    var policy: String
    var waves: [Wave]
    var description: String { policy }
  }

  struct Wave: Decodable, Equatable, Sendable {
    var name: String
    var count: Int
    var batch: Int
    var soak: String
    var approve: Bool

    init(_ name: String, _ count: Int, batch: Int, soak: String, approve: Bool = false) {
      (self.name, self.count, self.batch, self.soak, self.approve) = (name, count, batch, soak, approve)
    }

    enum CodingKeys: CodingKey { case name, hosts, batch, soak, approve }

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      name = try container.decode(String.self, forKey: .name)
      count = try container.decode([String].self, forKey: .hosts).count
      batch = try container.decode(Int.self, forKey: .batch)
      soak = try container.decode(String.self, forKey: .soak)
      approve = try container.decode(Bool.self, forKey: .approve)
    }
  }

  static let ready = [
    Ready(policy: "all-at-once-lab", waves: [Wave("everything", 200, batch: 200, soak: "5s")]),
    Ready(
      policy: "by-percent",
      waves: [
        Wave("one", 2, batch: 2, soak: "10m"), Wave("five", 8, batch: 4, soak: "10m"),
        Wave("ten", 10, batch: 5, soak: "10m"), Wave("quarter", 30, batch: 8, soak: "10m", approve: true),
        Wave("half", 50, batch: 13, soak: "10m"), Wave("all", 100, batch: 25, soak: "10m"),
      ]),
    Ready(
      policy: "canary",
      waves: [
        Wave("canary", 1, batch: 1, soak: "5m"), Wave("early", 19, batch: 5, soak: "5m"),
        Wave("rest", 180, batch: 45, soak: "1m"),
      ]),
    Ready(
      policy: "cautious",
      waves: [
        Wave("canary", 1, batch: 1, soak: "30m"), Wave("pilot", 9, batch: 2, soak: "1h", approve: true),
        Wave("quarter", 40, batch: 2, soak: "1h", approve: true),
        Wave("rest", 150, batch: 8, soak: "2h", approve: true),
      ]),
    Ready(
      policy: "fast-hotfix",
      waves: [Wave("canary", 1, batch: 1, soak: "20s"), Wave("rest", 199, batch: 100, soak: "20s")]),
  ]

  private struct Report: Decodable {
    struct Members: Decodable {
      var name: String
      var hosts: [String]
    }
    struct Entry: Decodable {
      var host: String
      var wave: String
      var action: String
    }
    var agent: String
    var version: String
    var policy: String
    var hosts: [Entry]
  }
  private struct Waves: Decodable { var waves: [Wave] }
  private struct Places: Decodable { var waves: [Report.Members] }

  /// `h001` to `h200`, in the inventory's order.
  private static let names = (1...200).map { number in
    "h" + String(repeating: "0", count: 3 - "\(number)".count) + "\(number)"
  }

  private static func arguments(_ policy: String, _ folder: Folder) throws -> [String] {
    try folder.write("[fleet]\nh[001:200]\n", to: "hosts.ini")
    let root = #filePath.dropLast("Tests/CommandsTests/ProgramTests/OfflinePlanTests.swift".count)
    return folder.plan(changing: ["--policy": ["\(root)policies/\(policy).yml"]])
  }

  @Test(
    "Each ready policy is told as JSON: every host in one wave, in the inventory's order", arguments: ready)
  func json(ready: Ready) async throws {
    try await Folder.with { folder in
      let outcome = try await Program.run(
        try Self.arguments(ready.policy, folder) + ["--output", "json"], in: folder)
      #expect(outcome.code == 0 && outcome.errors.isEmpty)
      let data = Data(outcome.output.utf8)
      #expect(try JSONDecoder().decode(Waves.self, from: data).waves == ready.waves)
      let waves = try JSONDecoder().decode(Places.self, from: data).waves
      #expect(waves.flatMap(\.hosts) == Self.names)
      let report = try JSONDecoder().decode(Report.self, from: data)
      #expect(report.agent == "demo" && report.version == "2.0.0" && report.policy == ready.policy)
      #expect(report.hosts.map(\.host) == Self.names)
      #expect(report.hosts.map(\.wave) == waves.flatMap { wave in wave.hosts.map { _ in wave.name } })
      #expect(report.hosts.allSatisfy { $0.action == "unknown" })
    }
  }

  @Test("Each ready policy is told as text: a title for each wave, and its hosts below it", arguments: ready)
  func text(ready: Ready) async throws {
    try await Folder.with { folder in
      let outcome = try await Program.run(try Self.arguments(ready.policy, folder), in: folder)
      #expect(outcome.code == 0 && outcome.errors.isEmpty)
      let lines = outcome.output.split(separator: "\n").map { String($0) }
      let titles = lines.filter { $0.hasPrefix("wave ") }
      #expect(
        titles
          == ready.waves.enumerated().map { number, wave in
            "wave \(number + 1) \(wave.name): \(wave.count) host\(wave.count == 1 ? "" : "s"), "
              + "\(wave.batch) at once, soak \(wave.soak)\(wave.approve ? ", after approval" : "")"
          })
      // Each line below a title is a host of that wave.
      var members: [[String]] = []
      for line in lines {
        if line.hasPrefix("wave ") { members.append([]) }
        let words = line.split(separator: " ").map { String($0) }
        if words.count == 2, Self.names.contains(words[1]) { members[members.count - 1].append(words[1]) }
      }
      #expect(members.map(\.count) == ready.waves.map(\.count))
      #expect(members.flatMap { $0 } == Self.names)
      #expect(
        lines.first
          == "demo 2.0.0 by policy \(ready.policy): 200 hosts in \(ready.waves.count) wave\(ready.waves.count == 1 ? "" : "s")"
      )
      #expect(lines.last == "200 hosts, none asked")
    }
  }

  @Test("The same files give the same plan")
  func repeats() async throws {
    try await Folder.with { folder in
      let arguments = try Self.arguments("canary", folder) + ["--output", "json"]
      let first = try await Program.run(arguments, in: folder)
      #expect(try await Program.run(arguments, in: folder).output == first.output)
    }
  }

  @Test("A limit narrows the fleet that shares are taken of")
  func limit() async throws {
    try await Folder.with { folder in
      let arguments = try Self.arguments("canary", folder) + ["--output", "json", "--limit", "fleet[0:19]"]
      let outcome = try await Program.run(arguments, in: folder)
      let waves = try JSONDecoder().decode(Waves.self, from: Data(outcome.output.utf8)).waves
      #expect(waves.map(\.count) == [1, 1, 18])
    }
  }

  @Test("A policy that names more hosts than there are in an early wave is refused with its place")
  func doesNotFit() async throws {
    try await Folder.with { folder in
      try folder.write(
        "policy: p\nwaves:\n  - {name: a, hosts: 10%}\n  - {name: b, hosts: 5}\n  - {name: c, hosts: 100%}\n",
        to: "policy.yml")
      try folder.write("h[001:200]\n", to: "hosts.ini")
      let outcome = try await Program.run(folder.plan(), in: folder)
      outcome.isRefused(at: "\(folder.path("policy.yml")):4:22: of 200 hosts", saying: [])
    }
  }
}

extension OfflinePlanTests {
  @Test("A wave that adds no host is said to be left out, with its approval")
  func leftOut() async throws {
    try await Folder.with { folder in
      try folder.write(
        "policy: p\nwaves: [{name: one, hosts: 1}, {name: tenth, hosts: 10%, approve: true}, {name: all, hosts: 100%}]\n",
        to: "policy.yml")
      let text = try await Program.run(folder.plan(), in: folder)
      #expect(text.code == 0, "\(text.errors)")
      #expect(text.output.contains("wave tenth is left out"))
      #expect(text.output.contains("approval"))
      let json = try await Program.run(folder.plan() + ["--output", "json"], in: folder)
      #expect(json.output.contains(#""tenth""#) && json.output.contains("left_out"))
    }
  }
}
