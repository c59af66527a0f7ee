import BadFiles
import FoundationEssentials
import Glibc
import MarkedYAML
import PolicyFiles
import RolloutModel
import Testing

@Suite("Agent files")
struct AgentFileTests {
  static let full = """
    agent: demo
    user: root
    strip: 0
    exec: bin/agent
    args: ["--verbose", "--listen={{ port }}", 8]
    environment: {BIND: 0.0.0.0, AT: "{{host}}", EMPTY: ""}
    slots: {blue: 7001, green: 7002}
    public_port: 8400
    traffic: nftables
    drain: 30s
    concurrent: true
    adopt: {unit: old-agent.service, port: 8400}
    health:
      - http: /health
        expect: {status: 200, json: {version: "{{ version }}"}}
    dependencies:
      - command: [python3, --version]
        version: ">=3.9"
      - disk_free: 200MB
      - tcp: 127.0.0.1:22
    """

  static let least = BadAgents.least

  private static func parse(_ text: String) throws -> AgentDefinition {
    try AgentFile.parse(text: text, name: "agent.yml")
  }

  @Test("every key of a full agent file is read")
  func readsAll() throws {
    let agent = try Self.parse(Self.full)
    #expect(agent.name.text == "demo")
    #expect(agent.user == "root")
    #expect(agent.exec == "bin/agent")
    #expect(agent.args == ["--verbose", "--listen={{ port }}", "8"])
    #expect(
      agent.environment == [
        EnvironmentVariable(name: "AT", value: "{{host}}"),
        EnvironmentVariable(name: "BIND", value: "0.0.0.0"),
        EnvironmentVariable(name: "EMPTY", value: ""),
      ])
    #expect(agent.slots == SlotPorts(blue: 7001, green: 7002))
    #expect(agent.publicPort == 8400)
    #expect(agent.traffic == .nftables)
    #expect(agent.drain == .seconds(30))
    #expect(agent.concurrent)
    #expect(agent.adopt == Adoption(unit: "old-agent.service", port: 8400))
    #expect(
      agent.health == [
        ProbeDefinition(
          question: .http(path: "/health"),
          expect: Expectation(json: [JSONField(path: "version", value: .text("{{ version }}"))]))
      ])
    #expect(
      agent.dependencies == [
        .command(argv: ["python3", "--version"], version: VersionBound(">=3.9")),
        .diskFree(bytes: 200_000_000),
        .tcp(host: "127.0.0.1", port: 22),
      ])
  }

  @Test("what an agent file leaves out has its default")
  func readsLeast() throws {
    let agent = try Self.parse(Self.least + "health: [{tcp: true}]")
    #expect(agent.strip == 0 && agent.args.isEmpty && agent.environment.isEmpty)
    #expect(agent.traffic == .nftables && agent.drain == .seconds(30) && agent.concurrent)
    #expect(agent.unitTemplate == nil && agent.adopt == nil && agent.dependencies.isEmpty)
    #expect(agent.health == [ProbeDefinition(question: .tcp)])
  }

  @Test(
    "the door is ssh unless the file says otherwise; the others need the means, whose paths begin at the file's folder"
  )
  func readsDoor() throws {
    let least = Self.least + "health: [{tcp: true}]\n"
    let means = "rpc: {port: 7440, authority: tls/ca.pem, certificate: /etc/ops.pem, key: ops.key}"
    #expect(try Self.parse(least + means).rpc == nil)
    #expect(try Self.parse(least + "door: ssh\n" + means).rpc == nil)
    for (word, fallsBack) in [("rpc", false), ("auto", true)] {
      let agent = try AgentFile.parse(text: least + "door: \(word)\n" + means, name: "agents/agent.yml")
      #expect(
        agent.rpc
          == RPCDoorChoice(
            fallsBack: fallsBack, port: 7440, authority: "agents/tls/ca.pem", certificate: "/etc/ops.pem",
            key: "agents/ops.key"))
    }
    let publicPort = try Self.parse(least + "door: auto\nrpc: {authority: a, certificate: b, key: c}")
    #expect(publicPort.rpc?.port == publicPort.publicPort)
  }

  @Test(
    "a door without its means, or with unknown or missing ones, is refused with its place",
    arguments: [
      ("door: rpc", "nothing says how agents are spoken to"),
      (
        "door: rpc\nrpc: {authority: a, certificate: b, key: c}\ndependencies: [{http: http://127.0.0.1/}]",
        "opens no way to other hosts"
      ), ("door: telnet", "door is"),
      ("rpc: {authority: a, certificate: b}", "key"),
      ("rpc: {authority: a, certificate: b, key: c, secret: d}", "secret"),
      ("rpc: {authority: a, certificate: b, key: c, port: 0}", "port"), ("door: auto\nrpc: []", "rpc"),
    ])
  func refusesDoor(text: String, said: String) {
    let error = #expect(throws: FileProblems.self) {
      try Self.parse(Self.least + "health: [{tcp: true}]\n" + text)
    }
    #expect(error?.description.contains(said) == true, "\(error?.description ?? "")")
  }

  @Test("a floor is a version that others can be compared with")
  func readsFloor() throws {
    let least = Self.least + "health: [{tcp: true}]\n"
    #expect(try Self.parse(least).floor == nil)
    #expect(try Self.parse(least + "floor: 1.4.2").floor == Version("1.4.2"))
    #expect(try Self.parse(least + "floor: v1.4.2-rc1").floor == Version("v1.4.2-rc1"))
    for wrong in ["latest", "''", "[1]", "'1 4'", "1..2", "v"] {
      let error = #expect(throws: FileProblems.self) { try Self.parse(least + "floor: \(wrong)") }
      #expect(error?.description.contains("floor") == true, "\(wrong)")
    }
  }

  @Test(
    "Versions are compared by their numbers, and pre-releases come before what they lead to",
    arguments: [
      ("1.4.1", "1.4.2", true), ("1.4.2", "1.4.2", false), ("1.4.10", "1.4.9", false), ("2", "1.9", false),
      ("1.4", "1.4.0", false), ("v1.4.1", "1.4.2", true), ("1.4.2-rc1", "1.4.2", true),
      ("1.4.2~beta", "1.4.2", true), ("1.4.2+build7", "1.4.2", false), ("1.4.2", "1.4.2-rc1", false),
      ("1.4.2-rc1", "1.4.2-rc2", false), ("nightly", "0.1", true), ("99999999999999999999", "1", true),
    ])
  func versionOrder(version: String, floor: String, isBelow: Bool) throws {
    #expect(try #require(Version(version)).isBelow(try #require(Version(floor))) == isBelow)
  }

  @Test("an agent that can't run twice is read; for a plan it is refused at its place")
  func readsNotConcurrent() async throws {
    try await inFolder { folder in
      let path = folder + "/agent.yml"
      try write(Self.least + "concurrent: false\nhealth: [{tcp: 9000}]", to: path)
      #expect(try AgentFile.load(path: path).concurrent == false)
      let error = #expect(throws: FileProblems.self) { try AgentFile.load(path: path, forPlan: true) }
      #expect(error?.problems.count == 1)
      #expect(error?.description.contains("agent.yml:6:13: concurrent: false is not possible yet") == true)
    }
  }

  @Test("every form of a probe is read")
  func readsProbes() throws {
    let text = """
      health:
        - {https: "/v/{{ version }}?full=1", verify: false, port: 8443}
        - {tcp: 9000}
        - {tcp: true, port: 9001}
        - http: /
          expect:
            status: 204
            body: "hello {{ host }}"
            body_matches: 'v\\d+ {{ version }}$'
            header: {X-Version: "{{ version }}", Age: 0}
            json: {a.b: 1, ok: true, none: null, ratio: 0.5, text: "1", list.0: x}
      """
    let health = try Self.parse(Self.least + text).health
    #expect(
      health[0]
        == ProbeDefinition(question: .https(path: "/v/{{ version }}?full=1", verify: false), port: 8443))
    #expect(health[1] == ProbeDefinition(question: .tcp, port: 9000))
    #expect(health[2] == ProbeDefinition(question: .tcp, port: 9001))
    #expect(health[3].expect.status == 204)
    #expect(health[3].expect.body == "hello {{ host }}")
    #expect(health[3].expect.bodyMatches == "v\\d+ {{ version }}$")
    #expect(
      health[3].expect.headers == [
        HeaderField(name: "X-Version", value: "{{ version }}"), HeaderField(name: "Age", value: "0"),
      ])
    #expect(
      health[3].expect.json.map(\.value) == [
        .number(1), .flag(true), .null, .number(0.5), .text("1"), .text("x"),
      ])
  }

  @Test("every kind of dependency is read")
  func readsDependencies() throws {
    let text = """
      health: [{tcp: true}]
      dependencies:
        - {command: [/usr/bin/true]}
        - {memory_free: 1.5GiB}
        - {port_free: 7001}
        - {tcp: "[::1]:443"}
        - {http: "https://mirror.example/x?y", status: 204}
        - {file: /etc/ssl/certs}
        - {python_module: ansible_runner.utils, interpreter: /opt/venv/bin/python, version: 2.4}
        - {python_module: flask}
      """
    #expect(
      try Self.parse(Self.least + text).dependencies == [
        .command(argv: ["/usr/bin/true"], version: nil), .memoryFree(bytes: 1_610_612_736), .portFree(7001),
        .tcp(host: "::1", port: 443), .http(url: "https://mirror.example/x?y", status: 204),
        .file(path: "/etc/ssl/certs"),
        .pythonModule(
          name: "ansible_runner.utils", interpreter: "/opt/venv/bin/python", version: VersionBound("2.4")),
        .pythonModule(name: "flask", interpreter: "python3", version: nil),
      ])
  }

  @Test("a unit's path begins at the agent file's folder, and its text is kept whole")
  func readsUnit() async throws {
    try await inFolder { folder in
      try FileManager.default.createDirectory(atPath: folder + "/units", withIntermediateDirectories: true)
      let unit = "# ours\n[Unit]\nDescription=é\n\n[Service]\nExecStart=/x\n"
      try write(unit, to: folder + "/units/agent.service")
      try write(Self.least + "unit: units/agent.service\nhealth: [{tcp: true}]", to: folder + "/agent.yml")
      #expect(try AgentFile.load(path: folder + "/agent.yml").unitTemplate == unit)
      try write("[Unit]\n\u{0}[Service]\n", to: folder + "/units/agent.service")
      let error = #expect(throws: FileProblems.self) { try AgentFile.load(path: folder + "/agent.yml") }
      #expect(
        try #require(error).description.contains(
          "agent.yml:6:7: the unit \"units/agent.service\": the invisible"))
      try write(
        "[Service]\n" + String(repeating: "# more\n", count: 10_000), to: folder + "/units/agent.service")
      let long = #expect(throws: FileProblems.self) { try AgentFile.load(path: folder + "/agent.yml") }
      #expect(try #require(long).description.contains("longer than 64 KiB, which no host takes"))
    }
  }

  @Test("a named pipe is refused, not waited for")
  func refusesPipe() async throws {
    try await inFolder { folder in
      mkfifo(folder + "/agent.yml", 0o600)
      let error = #expect(throws: FileProblems.self) { try AgentFile.load(path: folder + "/agent.yml") }
      let problems = try #require(error)
      #expect(problems.description.contains("agent.yml:1:1: this is not a regular file"))
    }
  }

  @Test("every traffic driver of this version is read")
  func readsTraffic() throws {
    func driver(_ text: String) throws -> TrafficDriver {
      try Self.parse(Self.least + "health: [{tcp: true}]\ntraffic: \(text)").traffic
    }
    #expect(try driver("none") == TrafficDriver.none)
    #expect(try driver("nftables") == .nftables)
    #expect(
      try driver("{command: [/usr/local/bin/move, --fast]}")
        == .command(argv: ["/usr/local/bin/move", "--fast"]))
  }

  @Test("a bad agent file is refused at the right place, with the right word", arguments: BadAgents.all)
  func refuses(bad: BadFile) {
    bad.check { try AgentFile.parse($0, name: "agent.yml") }
  }

  @Test("damaged agent files never crash the reader")
  func survivesDamage() {
    for variant in damaged(Self.full, count: 700) {
      do {
        _ = try AgentFile.parse(variant, name: "agent.yml")
      } catch {
        #expect(!error.problems.isEmpty)
      }
    }
  }

  @Test("damaged regular expressions never crash the reader")
  func survivesDamagedExpressions() {
    let expression =
      #"^(?<v>v\d+(\.\d{1,3})*)\s+[A-Fa-f0-9&&[^c]]+?(?i:ready|up)(?=\b)(?<!x)\p{L}+\u{41}\x41\Q.\E(?#c)\1$"#
    for variant in damaged(expression, count: 700) {
      guard let text = String(validating: variant, as: UTF8.self) else { continue }
      let quoted = text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
      let file = Self.least + "health: [{http: /, expect: {body_matches: '\(quoted)'}}]"
      // Whether it is refused does not matter here, only that it returns.
      _ = try? Self.parse(file)
    }
  }
}
