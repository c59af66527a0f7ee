import Glibc
import RolloutModel
import Testing

@testable import HostCore

extension HostTests {
  @Suite("Dependencies") struct ChecksDependencyTests {
    private func check(_ dependencies: [Dependency], deadline: Span = .seconds(30)) -> [String?] {
      DependencyChecks(deadline: deadline, releaseDisk: "/").run(dependencies).map(\.failure)
    }

    @Test("what holds passes")
    func good() throws {
      let listener = try TestSocket.listener(0)
      let port = try #require(listener.port)
      let results = check([
        .command(argv: ["true"], version: nil),
        .command(argv: ["printf", "tool 3.11.2 (2024)\\n"], version: VersionBound(">=3.9,<4")),
        .command(argv: ["sh", "-c", "echo v2.4 >&2"], version: VersionBound("2.4")),
        .diskFree(bytes: 1), .memoryFree(bytes: 1), .portFree(1),
        .tcp(host: "127.0.0.1", port: port), .tcp(host: "::1", port: port),
        .tcp(host: "localhost", port: port),
        .file(path: "/etc/passwd"), .file(path: "/etc"),
        .pythonModule(name: "json", interpreter: "/usr/bin/python3", version: nil),
        .pythonModule(name: "os.path", interpreter: "python3", version: nil),
      ])
      #expect(results.allSatisfy { $0 == nil }, "\(results)")
    }

    @Test("what does not hold is told, each with what was found")
    func bad() throws {
      let listener = try TestSocket.listener(0)
      let port = try #require(listener.port)
      let cases: [(Dependency, String)] = [
        (.command(argv: ["no-such-program"], version: nil), "no program no-such-program"),
        (.command(argv: ["sh", "-c", "echo broken >&2; exit 7"], version: nil), "exit status 7: broken"),
        (
          .command(argv: ["printf", "tool 3.8.20"], version: VersionBound(">=3.9")), "3.8.20, needed is >=3.9"
        ),
        (.command(argv: ["echo", "no number"], version: VersionBound(">=3.9")), "no version"),
        (.command(argv: [], version: nil), "empty"),
        (.command(argv: ["printf", "\\033[31m\\n"], version: VersionBound("9")), "31"),
        (.diskFree(bytes: .max), "on the disk"), (.memoryFree(bytes: .max), "of memory"),
        (.portFree(port), "port \(port) is taken by"),
        (.tcp(host: "127.0.0.1", port: 1), "refused"),
        (.tcp(host: "no-such-host.invalid", port: 1), "no address"),
        (.http(url: "http://127.0.0.1/", status: 200), "controller"),
        (.file(path: "/no/such/file"), "No such file"), (.file(path: "relative"), "not absolute"),
        (
          .pythonModule(name: "no_such_module", interpreter: "/usr/bin/python3", version: nil),
          "no_such_module"
        ),
        (
          .pythonModule(name: "os; import x", interpreter: "/usr/bin/python3", version: nil),
          "no module's name"
        ),
        (.pythonModule(name: "json", interpreter: "/no/python", version: nil), "/no/python"),
        (
          .pythonModule(name: "this", interpreter: "/usr/bin/python3", version: VersionBound(">=1")),
          "no version"
        ),
      ]
      for ((dependency, word), result) in zip(cases, check(cases.map(\.0))) {
        #expect(
          result?.contains(word) == true, "\(dependency.title): \(result ?? "passed"), expected \(word)")
        #expect(result?.contains("\u{1b}") != true)
      }
    }

    @Test("a Python module's version is that of its distribution")
    func pythonVersion() throws {
      let folder = try TemporaryFolder()
      _ = try FileTree.makeFolder("\(folder.path)/site/thing")
      _ = try FileTree.makeFolder("\(folder.path)/site/thing_dist-2.5.dist-info")
      let files = [
        ("thing/__init__.py", "print('hello 9.9')\n__version__ = '1.0'\n"),
        ("thing_dist-2.5.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing-dist\nVersion: 2.5\n"),
        ("thing_dist-2.5.dist-info/top_level.txt", "thing\n"), ("thing_dist-2.5.dist-info/RECORD", ""),
      ]
      for (path, text) in files { try folder.write(Array(text.utf8), to: "new", movedTo: "site/\(path)") }
      // An interpreter as a virtual environment's: one with packages of its own.
      let interpreter = "\(folder.path)/python"
      let text =
        "#!/usr/bin/python3 -I\nimport sys\nsys.path.insert(0, \"\(folder.path)/site\")\n"
        + "program, sys.argv = sys.argv[3], sys.argv[3:]\nexec(program)\n"
      try folder.write(Array(text.utf8), to: "python")
      #expect(chmod(interpreter, 0o755) == 0)
      let results = check([
        .pythonModule(name: "thing", interpreter: interpreter, version: VersionBound("==2.5")),
        .pythonModule(name: "thing", interpreter: interpreter, version: VersionBound(">=3")),
      ])
      #expect(results[0] == nil)
      #expect(results[1]?.contains("2.5") == true)
    }

    @Test("one that hangs is given up, and those after it are told apart from failures")
    func hanging() throws {
      let results = check(
        [.command(argv: ["sleep", "1000"], version: nil), .file(path: "/etc")],
        deadline: Span(milliseconds: 400))
      #expect(results[0]?.contains("not ended") == true)
      #expect(results[1]?.contains("not checked") == true)
    }
  }

  @Suite("Facts and local answers") struct ChecksFactsTests {
    @Test("facts are those that the system's own programs tell")
    func facts() throws {
      func said(_ argv: [String]) throws -> String {
        try HostCommand.run(argv, deadline: .seconds(10)).outputText.filter { !$0.isNewline }
      }
      #expect(SystemFacts.kernel().architecture == (try said(["uname", "-m"])))
      #expect(SystemFacts.kernel().release == (try said(["uname", "-r"])))
      #expect(try said(["cat", "/etc/os-release"]).contains(SystemFacts.systemName()))
      #expect(SystemFacts.systemName().count > 3)
      #expect(try SystemFacts.bootID() == said(["cat", "/proc/sys/kernel/random/boot_id"]))
      #expect(try SystemFacts.diskFree(at: "/") > 1 << 20)
      #expect(try SystemFacts.memoryAvailable() > 1 << 20)
      #expect(SystemFacts.userExists("root") && SystemFacts.userExists("0"))
      #expect(!SystemFacts.userExists("no-such-user") && !SystemFacts.userExists(""))
    }

    @Test("a listener is told with its process, in either family; a free port has none")
    func listeners() throws {
      for address in ["127.0.0.1", "::1", "::"] {
        let listener = try TestSocket.listener(0, on: address)
        let port = try #require(listener.port)
        #expect(Listeners.isTaken(port))
        let owners = Listeners.on([port, 1])
        #expect(owners.map(\.pid) == [Int(getpid())])
        #expect(owners.map(\.port) == [port])
        #expect(owners.allSatisfy { !$0.command.isEmpty })
      }
      #expect(!Listeners.isTaken(1))
      let listener = try TestSocket.listener(0, on: "127.0.0.1")
      let port = try #require(listener.port)
      let asked = ListeningSockets.on([port])
      #expect(asked.count == 1)
      #expect(ListeningSockets.readTables().filter { $0.port == port } == asked, "both ways say the same")
    }

    @Test(
      "of an HTTP answer the status decides, and only a whole first line counts",
      arguments: [
        ("HTTP/1.1 200 OK\r\n\r\n", true), ("HTTP/1.0 200\r\n", true), ("HTTP/1.1 200 OK\n", true),
        ("HTTP/1.1 503 Busy\r\n\r\n", false), ("HTTP/1.1 2000 OK\r\n", false), ("HTTP/2 200\r\n", false),
        ("HTTP/1.1 200 OK", false), ("SSH-2.0-x\r\n", false), ("", false), ("\r\n", false),
        (String(repeating: "x", count: 5000), false),
      ])
    func httpAnswers(answer: String, passes: Bool) throws {
      let listener = try TestSocket.listener(0, on: "127.0.0.1")
      let port = try #require(listener.port)
      let server = try ChildProcess(
        [
          "python3", "-c",
          "import socket,sys\ns=socket.socket(fileno=0)\nc,_=s.accept()\nc.recv(4096)\nc.sendall(sys.argv[1].encode())\nc.shutdown(1)\nc.recv(9)",
          answer,
        ], stdin: listener.blockingCopy())
      let failure = LocalAnswer.failure(
        of: ProbeDefinition(question: .http(path: "/health")), port: port, deadline: .seconds(10))
      #expect((failure == nil) == passes, "\(failure ?? "passed")")
      server.end()
    }

    @Test("one that accepts and says nothing is no answer, and one that is not there neither")
    func silence() throws {
      let listener = try TestSocket.listener(0, on: "::1")
      let port = try #require(listener.port)
      let http = ProbeDefinition(question: .http(path: "/"))
      #expect(
        LocalAnswer.failure(of: http, port: port, deadline: Span(milliseconds: 300))?.contains("timed out")
          == true)
      let tls = ProbeDefinition(question: .https(path: "/", verify: true))
      for probe in [ProbeDefinition(question: .tcp), tls] {
        #expect(LocalAnswer.failure(of: probe, port: port, deadline: .seconds(5)) == nil)
      }
      #expect(LocalAnswer.failure(of: http, port: 1, deadline: .seconds(5))?.contains("refused") == true)
      let split = ProbeDefinition(question: .http(path: "/a\r\nEvil: 1"))
      #expect(
        LocalAnswer.failure(of: split, port: port, deadline: .seconds(5))?.contains("can't stand") == true)
    }
  }
}
