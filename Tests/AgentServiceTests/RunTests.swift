import FoundationEssentials
import RolloutModel
import Testing

@testable import AgentService

@Suite("Runs and their logs", .timeLimit(.minutes(5)), .serialized)
struct RunTests {
  private static let id = "0f8fad5b-d9cb-469f-a165-70867728950e"

  private static let program = """
    import os, sys, time
    if sys.argv[1] == "flood":
        while True: sys.stdout.write("x" * 65536)
    print("first", flush=True)
    if sys.argv[1] == "wait":
        time.sleep(600)
    while sys.argv[1] == "slow" and not os.path.exists(sys.argv[2]):
        time.sleep(0.05)
    print("last")
    """

  private func with(
    limits: Limits = Limits(), _ body: @escaping @Sendable (RunningAgent) async throws -> Void
  ) async throws {
    try await RunningAgent.with(
      limits: limits,
      configure: { configuration, scratch in
        let file = try scratch.write(Self.program, to: "program.py")
        for name in ["quick", "slow", "wait", "flood"] {
          configuration.commands[name] = AgentCommand(
            run: ["/usr/bin/env", "python3", file, name, scratch.file("go on")], arguments: [:],
            timeout: .seconds(60))
        }
      }, body)
  }

  private static func command(
    _ agent: RunningAgent, _ name: String, id: String? = nil, _ options: [String] = []
  ) async throws -> (status: Int, body: String) {
    let header = id.map { ["-H", "Run-ID: \($0)"] } ?? []
    return try await agent.curl("/v1/commands", header + options + ["-d", #"{"name": "\#(name)"}"#])
  }

  private static func summary(_ agent: RunningAgent, _ id: String = id) async throws -> [String: JSON] {
    let body = try await agent.curl("/v1/runs/\(id)").body
    return try JSONDecoder().decode([String: JSON].self, from: Data(body.utf8))
  }

  @Test("A run has the name that its client gave it, and its log has all that the client was sent")
  func log() async throws {
    try await with { agent in
      let sent = try await Self.command(agent, "quick", id: Self.id, ["-D", "-"])
      #expect(sent.body.lowercased().contains("run-id: \(Self.id)"))
      #expect(try await agent.curl("/v1/runs/\(Self.id)/log", ["--head"]).status == 200)
      let log = try await agent.curl("/v1/runs/\(Self.id)/log")
      #expect(log.status == 200)
      let lines = try log.body.split(separator: "\n").map {
        try JSONDecoder().decode([String: JSON].self, from: Data($0.utf8))
      }
      #expect(
        lines.allSatisfy { if case .number(let at)? = $0["at"] { at > 1_600_000_000_000 } else { false } })
      #expect(
        lines.first?["run"] == ["id": .text(Self.id), "kind": "command", "name": "quick", "client": "ops"])
      let said = lines.compactMap { line in if case .text(let text)? = line["data"] { text } else { nil } }
      #expect(said.joined() == "first\nlast\n")
      #expect(lines.last?["exit"] == 0)
      let summary = try await Self.summary(agent)
      #expect(summary["state"] == "ended" && summary["end"] == ["exit": 0] && summary["name"] == "quick")
      let list = try await agent.curl("/v1/runs")
      #expect(list.status == 200 && list.body.contains(Self.id))
      #expect(agent.log.text.contains("run=\(Self.id)"))
    }
  }

  @Test("Without a name a run gets one; a name that was used is not carried out again")
  func names() async throws {
    try await with { agent in
      let made = try await Self.command(agent, "quick", ["-D", "-"])
      let line = try #require(
        made.body.lowercased().split(whereSeparator: \.isNewline).first { $0.hasPrefix("run-id: ") })
      let id = line.dropFirst("run-id: ".count).filter { !$0.isWhitespace }
      #expect(RunID(id) != nil)
      #expect(try await agent.curl("/v1/runs/\(id)/log").status == 200)
      let again = try await Self.command(agent, "quick", id: id.uppercased())
      #expect(again.status == 409 && again.body.contains("run_exists"), "\(again)")
      #expect(try await agent.curl("/v1/runs").body.components(separatedBy: #""id""#).count == 2)
    }
  }

  @Test(
    "What is no identifier is refused, and nothing is run or read",
    arguments: [
      "1", "..%2f..%2fetc", "0f8fad5b-d9cb-469f-a165-70867728950", "0f8fad5b-d9cb-469f-a165-70867728950g",
      "0f8fad5bd9cb469fa16570867728950e", "0f8fad5b-d9cb-469f-a165-70867728950e.log", "%00",
    ])
  func hostile(id: String) async throws {
    try await with { agent in
      let run = try await Self.command(agent, "quick", id: id)
      #expect(run.status == 400, "\(run)")
      for path in ["/v1/runs/\(id)", "/v1/runs/\(id)/log"] {
        let read = try await agent.curl(path, ["--path-as-is"])
        #expect([400, 404].contains(read.status), "\(read)")
      }
      #expect(try await agent.curl("/v1/runs").body == #"{"runs":[]}"#)
      #expect(!agent.log.text.contains("a command is run"))
    }
  }

  @Test("A log that is not there is not found, and nothing comes of it")
  func missing() async throws {
    try await with { agent in
      for path in ["", "/log", "/log?follow=1"] {
        let answer = try await agent.curl("/v1/runs/\(Self.id)\(path)")
        #expect(answer.status == 404 && answer.body.contains("no_such_run"))
      }
      #expect(try await agent.curl("/v1/runs").body == #"{"runs":[]}"#)
    }
  }

  @Test("Whoever follows a log sees it grow, to the run's end")
  func follows() async throws {
    try await with { agent in
      async let run = Self.command(agent, "slow", id: Self.id)
      try await eventually("the run has begun") {
        try await agent.curl("/v1/runs/\(Self.id)/log").body.contains("first")
      }
      #expect(try await Self.summary(agent)["state"] == "running")
      let part = try await agent.curl("/v1/runs/\(Self.id)/log")
      #expect(!part.body.contains("last"))
      async let whole = agent.curl("/v1/runs/\(Self.id)/log?follow=1")
      try agent.scratch.write("", to: "go on")
      let followed = try await whole.body
      #expect(followed.contains("last") && followed.contains(#""exit":0"#))
      #expect(try await run.status == 200)
    }
  }

  @Test("A client that goes away ends the run, and the log says so")
  func brokenOff() async throws {
    try await with { agent in
      async let client: Void = LeavingClient.run(
        agent, "wait", id: Self.id, until: agent.scratch.file("leave"))
      try await eventually("it runs") {
        try await agent.curl("/v1/runs/\(Self.id)/log").body.contains("first")
      }
      try agent.scratch.write("", to: "leave")
      try await client
      try await eventually("the end is in the log") {
        try await Self.summary(agent)["end"] == ["broken_off": true]
      }
      #expect(try await Self.summary(agent)["state"] == "ended")
      #expect(try await agent.curl("/v1/runs/\(Self.id)/log").body.contains("first"))
    }
  }

  @Test("A client that does not read is waited for so long, then its command is killed and the log says so")
  func unread() async throws {
    var limits = Limits()
    limits.sending = .milliseconds(500)
    limits.output = 64 << 20
    limits.log = 1 << 20
    try await with(limits: limits) { agent in
      async let stubborn: Void = LeavingClient.run(
        agent, "flood", id: Self.id, until: agent.scratch.file("over"))
      try await eventually("the run has ended", within: .seconds(50)) {
        try await Self.summary(agent)["state"] == "ended"
      }
      // When its own time is over, something else is told.
      #expect(try await Self.summary(agent)["end"] == ["broken_off": true])
      try agent.scratch.write("", to: "over")
      try await stubborn
    }
  }

  @Test("Logs are kept up to a number and to a size; the oldest go, those that are written stay")
  func bounds() throws {
    let scratch = try Scratch()
    let logs = RunLogs(folder: StateFolder(path: scratch.file("runs")), limit: 2000, total: 60_000, count: 5)
    let about = RunLogs.About(kind: "command", name: "a", client: "ops")
    let open = try logs.begin(.made(), about)
    var ids: [RunID] = []
    for index in 0..<8 {
      let id = RunID.made()
      ids.append(id)
      let log = try logs.begin(id, about)
      for _ in 0..<100 { try log.append(["stream": "stdout", "data": "some words more and more"]) }
      try log.append(["exit": 0], isEnd: true)
      try FileManager.default.setAttributes(
        [.modificationDate: Date(timeIntervalSinceNow: Double(index - 100))], ofItemAtPath: logs.path(id))
    }
    let kept = Set(try logs.all().map(\.id))
    #expect(kept == Set(ids.suffix(4) + [open.id]))
    let last = try #require(try logs.open(ids[7]))
    #expect(try last.file.size < 2100)
    let summary = try last.summary()
    guard case .object(let fields) = summary else { throw Unexpected() }
    #expect(fields["end"] == ["exit": 0], "the end is there though the log is full")
    withExtendedLifetime(open) {}
  }

  @Test("A log without an end that nobody writes is that of a run that was broken off")
  func lost() throws {
    let scratch = try Scratch()
    let logs = RunLogs(folder: StateFolder(path: scratch.file("runs")), limit: 2000, total: 20_000, count: 5)
    let id = RunID.made()
    func state() throws -> JSON? {
      guard case .object(let fields)? = try logs.open(id)?.summary() else { return nil }
      return fields["state"]
    }
    do {
      let log = try logs.begin(id, .init(kind: "command", name: "a", client: "ops"))
      try log.append(["stream": "stdout", "data": #"{"exit":0}"#])
      #expect(try state() == "running")
      withExtendedLifetime(log) {}
    }
    #expect(try state() == "broken_off")
    #expect(throws: AgentError.self) {
      _ = try logs.begin(id, .init(kind: "command", name: "a", client: "ops"))
    }
  }
}
