import Testing

@Suite("The machines are pure")
struct MachineTests {
  private static let machines = ["ControllerMachine", "HostMachine", "RolloutEngine"]
  private let pure: [SourceFile]
  private let machines: [SourceFile]

  init() throws {
    let all = try SourceFile.all.get()
    machines = all.filter { Self.machines.contains($0.module) }
    pure = all.filter { Self.machines.contains($0.module) || $0.module == "RolloutModel" }
  }

  @Test("They import the values alone, and the values nothing but what encodes them")
  func importsNothing() {
    for file in pure {
      let allowed = file.module == "RolloutModel" ? ["FoundationEssentials"] : ["RolloutModel"]
      #expect(file.imports.allSatisfy { allowed.contains($0) }, "\(file.path) imports \(file.imports)")
    }
    // One file writes canonical JSON; no other value needs Foundation.
    #expect(
      pure.filter { !$0.imports.isEmpty && $0.module == "RolloutModel" }.map(\.path)
        == ["Sources/RolloutModel/CanonicalJSON.swift"])
  }

  @Test("They read no clock, draw no lots, wait for nothing and print nothing")
  func noOutsideWorld() {
    let banned = [
      "ContinuousClock", "SuspendingClock", "SystemRandomNumberGenerator", "random(", "randomElement(",
      "shuffle", "Date(", "UUID(", "async ", "await ", "print(", "Mutex",
      "nonisolated(unsafe)",
      "hashValue", "Hasher(",
    ]
    for file in pure {
      for word in banned {
        for place in file.places(of: word) { Issue.record("\(place): \(word) in \(file.module)") }
      }
      // Swift's tasks, not those of playbooks.
      for (number, line) in file.code.enumerated() where line.contains(/(?:^|[^A-Za-z_])Task[ .({]/) {
        Issue.record("\(file.path):\(number + 1): Task in \(file.module)")
      }
    }
  }

  @Test("They never walk over a collection whose order differs from run to run")
  func noUnorderedWalk() {
    let names = Set(pure.flatMap { $0.code.flatMap(Unordered.names) })
    // Nothing to find would mean that the search looks for the wrong thing.
    #expect(names.contains("phases"))
    for file in machines {
      for (number, line) in file.code.enumerated() where Unordered.isWalk(line, over: names) {
        Issue.record("\(file.path):\(number + 1) walks over a Set or Dictionary: \(line)")
      }
    }
  }

  @Test(
    "A walk over a Set or Dictionary is seen",
    arguments: [
      "for host in phases {", "for (key, value) in run.phases where true {", "phases.map { $0 }",
      "for x in self.phases.keys {", "return phases.values.first", "for x in Set(hosts) {",
    ])
  func seesWalks(line: String) {
    #expect(Unordered.isWalk(line, over: ["phases"]))
  }

  @Test(
    "A look-up, a count and a sorted walk are not walks",
    arguments: [
      "phases[name] = 1", "for x in phases.sorted(by: order) {", "phases.count", "if Set(ports).count == 2 {",
      "for phase in phasesInOrder {",
    ])
  func seesNoWalks(line: String) {
    #expect(!Unordered.isWalk(line, over: ["phases"]))
  }

  @Test("Declared Sets and Dictionaries are seen")
  func seesDeclarations() {
    #expect(Unordered.names(in: "  var phases: [String: Double] = [:]") == ["phases"])
    #expect(Unordered.names(in: "  private let seen: Set<Int>") == ["seen"])
    #expect(Unordered.names(in: "  func f(map: [Int: [String]], list: [String]) {") == ["map"])
    #expect(Unordered.names(in: "    let chosen = Set(hosts)") == ["chosen"])
    #expect(Unordered.names(in: "  var hosts: [Host] = []; let wave: [[Int]]") == [])
  }
}

/// Collections whose order differs from run to run, as far as lines of code show them.
enum Unordered {
  /// The names that a line declares as a Set or Dictionary.
  static func names(in line: String) -> [String] {
    let typed = /(\w+)\s*: \[[\w.?]+\s*: |(\w+)\s*: (?:Set|Dictionary)</
    let made = /(?:var|let) (\w+) = (?:Set|Dictionary)[(<]/
    return line.matches(of: typed).compactMap { $0.1 ?? $0.2 }.map { String($0) }
      + line.matches(of: made).map { String($0.1) }
  }

  /// Whether a line goes through one of these names, or through a Set that it makes, without sorting it.
  static func isWalk(_ line: String, over names: Set<String>) -> Bool {
    guard !line.contains(".sorted") else { return false }
    if line.contains(/\sin (?:Set|Dictionary)[(<]/) { return true }
    if let match = line.firstMatch(of: /(?:^|\s)for .* in ([\w.]+)/) {
      let path = match.1.split(separator: ".").map { String($0) }
      if let last = path.last(where: { !["keys", "values"].contains($0) }), names.contains(last) {
        return true
      }
    }
    let walks =
      /(\w+)\??\.(?:keys|values|map|compactMap|flatMap|mapValues|filter|forEach|reduce|first|enumerated|popFirst)(?!\w)/
    return line.matches(of: walks).contains { names.contains(String($0.1)) }
  }
}
