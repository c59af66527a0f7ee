import FoundationEssentials
import RolloutModel
import Testing

@testable import AgentService

@Suite("Commands", .timeLimit(.minutes(5)))
struct CommandTests {
  private static let program = """
    import os, sys, time
    what = sys.argv[1]
    if what == "both":
        sys.stdout.write("out ü"); sys.stdout.flush()
        sys.stderr.write("err"); sys.exit(3)
    if what == "much":
        sys.stdout.write("x" * 3000000)
    if what == "signal":
        os.kill(os.getpid(), 15)
    if what == "environment":
        print(sorted(k for k in os.environ if k != "LC_CTYPE"), os.getcwd(), os.listdir("/proc/self/fd"))
    if what == "wait":
        with open(sys.argv[2], "w") as f: f.write(str(os.getpid()))
        if os.fork() == 0:
            time.sleep(600)
        print("started", flush=True)
        time.sleep(600)
    if what == "show":
        print(sys.argv[2])
    """

  private func with(
    limits: Limits = Limits(), _ body: @escaping @Sendable (RunningAgent) async throws -> Void
  ) async throws {
    try await RunningAgent.with(
      limits: limits,
      configure: { configuration, scratch in
        let file = try scratch.write(Self.program, to: "program.py")
        let python = try #require(
          ["/usr/bin/python3", "/usr/local/bin/python3"].first {
            FileManager.default.isExecutableFile(atPath: $0)
          })
        func command(
          _ arguments: [String], _ patterns: [String: String] = [:], timeout: Span = .seconds(20)
        ) -> AgentCommand {
          AgentCommand(run: [python, file] + arguments, arguments: patterns, timeout: timeout)
        }
        configuration.commands = [
          "both": command(["both"]), "much": command(["much"]), "signal": command(["signal"]),
          "environment": command(["environment"]), "wait": command(["wait", scratch.file("pid")]),
          "slow": command(["wait", scratch.file("pid")], timeout: .seconds(1)),
          "show": command(["show", "--unit={{ unit }}"], ["unit": #"[a-z][a-z0-9-]{0,40}\.service"#]),
          "gone": AgentCommand(run: ["/nowhere/program"], arguments: [:], timeout: .seconds(1)),
        ]
      }, body)
  }

  private static func request(_ name: String, _ arguments: String = "{}") -> [String] {
    ["-d", #"{"name": "\#(name)", "arguments": \#(arguments)}"#]
  }

  private static func lines(_ body: String) -> [String] {
    body.split(separator: "\n").map { String($0) }
  }

  @Test("What a command says comes in lines, how it ended last")
  func output() async throws {
    try await with { agent in
      let (status, body) = try await agent.curl("/v1/commands", Self.request("both"))
      #expect(status == 200)
      let lines = Self.lines(body)
      #expect(lines.last == #"{"exit":3}"#)
      #expect(
        Set(lines.dropLast()) == [
          #"{"data":"out ü","stream":"stdout"}"#, #"{"data":"err","stream":"stderr"}"#,
        ])
      #expect(
        try await Self.lines(agent.curl("/v1/commands", Self.request("signal")).body).last
          == #"{"signal":"SIGTERM"}"#)
      #expect(agent.log.text.contains("a command is run"))
    }
  }

  @Test("A command has the agent's environment neither nor its files")
  func environment() async throws {
    try await with { agent in
      let (_, body) = try await agent.curl("/v1/commands", Self.request("environment"))
      #expect(body.contains("['LANG', 'LC_ALL', 'PATH'] / ['0', '1', '2', '3']"))
    }
  }

  @Test("Output over the bound is dropped, and the lines say so")
  func bounded() async throws {
    try await with { agent in
      let (_, body) = try await agent.curl("/v1/commands", Self.request("much"))
      let lines = Self.lines(body)
      #expect(lines.last == #"{"exit":0}"#)
      #expect(lines.filter { $0 == #"{"truncated":true}"# }.count == 1)
      #expect(lines.dropLast().joined().count { $0 == "x" } == 1 << 20)
    }
  }

  @Test("A command whose time is over is killed with all that it started")
  func timeout() async throws {
    try await with { agent in
      let (_, body) = try await agent.curl("/v1/commands", Self.request("slow"))
      #expect(Self.lines(body) == [#"{"data":"started\n","stream":"stdout"}"#, #"{"timeout":true}"#])
      try await Self.expectGone(agent)
    }
  }

  @Test("A client that goes away kills its command")
  func clientGoes() async throws {
    try await with { agent in
      async let client: Void = LeavingClient.run(agent, "wait", until: agent.scratch.file("go"))
      try await eventually("it runs") {
        let pid = agent.scratch.file("pid")
        return try FileManager.default.fileExists(atPath: pid)
          && !String(contentsOf: URL(filePath: pid), encoding: .utf8).isEmpty
      }
      try agent.scratch.write("", to: "go")
      try await client
      try await Self.expectGone(agent)
    }
  }

  @Test("More commands at once than there are places for are turned away, and places are given back")
  func places() async throws {
    var limits = Limits()
    limits.commands = 1
    try await with(limits: limits) { agent in
      async let first: Void = LeavingClient.run(agent, "wait", until: agent.scratch.file("go"))
      try await eventually("the first one runs") {
        FileManager.default.fileExists(atPath: agent.scratch.file("pid"))
      }
      let (status, body) = try await agent.curl("/v1/commands", Self.request("both"))
      #expect(status == 503)
      #expect(body.contains(#""code":"busy""#))
      try agent.scratch.write("", to: "go")
      try await first
      try await eventually("the place is free again") {
        try await agent.curl("/v1/commands", Self.request("both")).status == 200
      }
    }
  }

  @Test("Commands that are not listed, and values that their pattern does not match as a whole, run nothing")
  func refused() async throws {
    try await with { agent in
      for (name, arguments, wanted) in [
        ("sh", "{}", 403), ("show; id", "{}", 403), ("show", "{}", 400),
        ("show", #"{"unit": "a.service; id"}"#, 403), ("show", #"{"unit": "$(id).service"}"#, 403),
        ("show", #"{"unit": "a.service\nb"}"#, 403), ("show", #"{"unit": "a.service\u0000"}"#, 403),
        ("show", #"{"unit": "-a.service"}"#, 403), ("show", #"{"unit": "{{ unit }}"}"#, 403),
        ("show", #"{"unit": "a.service", "other": "b"}"#, 400), ("show", #"{"unit": 5}"#, 400),
        ("both", #"{"unit": "a.service"}"#, 400),
      ] {
        let (status, body) = try await agent.curl(
          "/v1/commands", ["-d", #"{"name": "\#(name)", "arguments": \#(arguments)}"#])
        #expect(status == wanted, "\(name) \(arguments): \(body)")
        #expect(body.hasPrefix(#"{"error":"#))
      }
      #expect(try await agent.curl("/v1/commands", ["-d", "no json"]).status == 400)
      #expect(try await agent.curl("/v1/commands", as: nil, Self.request("both")).status == 401)
      #expect(!agent.log.text.contains("a command is run"))
    }
  }

  @Test("A value is given as one argument, whatever is in it")
  func filled() async throws {
    try await with { agent in
      let (_, body) = try await agent.curl("/v1/commands", Self.request("show", #"{"unit": "a-b.service"}"#))
      #expect(Self.lines(body).first == #"{"data":"--unit=a-b.service\n","stream":"stdout"}"#)
    }
  }

  @Test("A body that is too large is refused before it is all read")
  func tooLarge() async throws {
    try await with { agent in
      let file = try agent.scratch.write(String(repeating: "x", count: 10 << 20), to: "large")
      for options in [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect:"]] {
        let (status, _) = try await agent.curl("/v1/commands", options + ["--data-binary", "@\(file)"])
        #expect(status == 413, "\(options)")
      }
    }
  }

  @Test("A program that is not there is told of in the last line")
  func notThere() async throws {
    try await with { agent in
      let (_, body) = try await agent.curl("/v1/commands", Self.request("gone"))
      #expect(Self.lines(body).last?.contains(#""code":"not_run""#) == true)
    }
  }

  @Test("Characters are not cut in two", arguments: ["ü€😀", "", "plain", "😀"])
  func pieces(text: String) {
    var pieces = UTF8Pieces()
    var result = ""
    for byte in text.utf8 { result += String(decoding: pieces.add([byte]), as: UTF8.self) }
    result += String(decoding: pieces.rest(), as: UTF8.self)
    #expect(result == text)
  }

  /// The command and its child are gone.
  private static func expectGone(_ agent: RunningAgent) async throws {
    let pid = try String(contentsOf: URL(filePath: agent.scratch.file("pid")), encoding: .utf8)
    try await eventually("the process group \(pid) is gone") {
      let all = try await run(["ps", "-eo", "pgid=,stat="]).output.split(separator: "\n")
      return all.allSatisfy { line in
        let fields = line.split(separator: " ")
        return fields.first.map { $0 == pid } != true || fields.last?.hasPrefix("Z") == true
      }
    }
  }
}
