import Glibc
import RolloutModel
import Testing

@testable import HostCore

extension HostTests {
  @Suite("Programs on the host") struct ProcessTests {
    @Test("arguments, input, environment and both outputs arrive as they are")
    func faithful() throws {
      let echoed = try HostCommand.run(
        ["printf", "%s|", "a b", "$(id)", "*", "", "é"], deadline: .seconds(10))
      #expect(echoed.outputText == "a b|$(id)|*||é|")
      let copied = try HostCommand.run(["cat"], stdin: Array(0...255), deadline: .seconds(10))
      #expect(copied.stdout == Array(0...255))
      let variables = try HostCommand.run(
        ["env"], environment: [EnvironmentVariable(name: "A", value: "1 2")], deadline: .seconds(10))
      #expect(
        variables.outputText.split(separator: "\n").sorted()
          == ["A=1 2", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "PATH=\(ChildProcess.searchPath)"])
      let complaint = try HostCommand.run(["ls", "/no/such/folder"], deadline: .seconds(10))
      #expect(complaint.status == .code(2))
      #expect(complaint.stdout.isEmpty)
      #expect(complaint.lastWords.contains("/no/such/folder"))
    }

    @Test("the streams arrive apart, whatever numbers they have")
    func numbers() throws {
      // With so many open, each run's own pipes get other numbers.
      var open: [Descriptor] = []
      for _ in 0..<120 {
        let number = Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC)
        try #require(number >= 0)
        open.append(Descriptor(owning: number))
        let result = try HostCommand.run(
          ["sh", "-c", "cat; echo complaint >&2"], stdin: Array("words".utf8), deadline: .seconds(10))
        #expect(result.outputText == "words" && result.lastWords == "complaint")
      }
      withExtendedLifetime(open) {}
    }

    @Test("the status tells an exit code from a signal")
    func statuses() throws {
      #expect(try HostCommand.run(["true"], deadline: .seconds(10)).status.isSuccess)
      #expect(try HostCommand.run(["false"], deadline: .seconds(10)).status == .code(1))
      #expect(
        try HostCommand.run(["sh", "-c", "kill -TERM $$"], deadline: .seconds(10)).status == .signal(SIGTERM))
    }

    @Test("what is missing, is no program, or holds a zero byte is told")
    func missing() throws {
      #expect(failure { _ = try run(["no-such-program-here"]) }?.code == .notFound)
      #expect(failure { _ = try run(["/etc/passwd"]) }?.code == .notFound)
      #expect(failure { _ = try run([]) }?.code == .invalid)
      #expect(failure { _ = try run([""]) }?.code == .invalid)
      #expect(failure { _ = try run(["echo", "a\u{0}b"]) }?.code == .invalid)
      let big = [UInt8](repeating: 0, count: 70_000)
      #expect(
        failure { _ = try HostCommand.run(["cat"], stdin: big, deadline: .seconds(10)) }?.code == .invalid)
    }

    @Test("a program that hangs is ended at the deadline, with those that it started")
    func deadline() throws {
      let folder = try TemporaryFolder()
      let script = "sleep 1000 & echo $! > \(folder.path)/pid; wait"
      let refused = failure {
        _ = try HostCommand.run(["sh", "-c", script], deadline: Span(milliseconds: 700))
      }
      #expect(refused?.code == .deadline)
      let text = try #require(ProcFiles.text("\(folder.path)/pid")).filter { !$0.isWhitespace }
      let pid = try #require(pid_t(text))
      var gone = false
      for _ in 0..<200 where !gone {
        let state = ProcFiles.text("/proc/\(pid)/stat")?.split(separator: " ").dropFirst(2).first
        gone = state == nil || state == "Z"
        usleep(10_000)
      }
      #expect(gone)
    }

    @Test("output without end is cut at the bound, and the program ended")
    func endless() throws {
      let refused = failure {
        _ = try HostCommand.run(["yes"], deadline: Span(milliseconds: 300), outputLimit: 1000)
      }
      #expect(refused?.code == .deadline)
      let bounded = try HostCommand.run(
        ["head", "-c", "300000", "/dev/zero"], deadline: .seconds(10), outputLimit: 1000)
      #expect(bounded.stdout.count == 1000)
      #expect(bounded.status.isSuccess)
    }

    @Test("a grandchild that keeps the outputs open does not hold up the answer")
    func grandchild() throws {
      let result = try HostCommand.run(
        ["sh", "-c", "sleep 30 & echo $!; exit 3"], deadline: .seconds(20))
      #expect(result.status == .code(3))
      let pid = try #require(pid_t(result.outputText.filter { !$0.isWhitespace }))
      #expect(kill(pid, SIGKILL) == 0)
    }

    @Test("a program inherits nothing but its three streams, and is the first of its own group")
    func hygiene() throws {
      let open = Glibc.open("/etc/passwd", O_RDONLY)
      defer { close(open) }
      let listed = try HostCommand.run(["sh", "-c", "echo /proc/$$/fd/*"], deadline: .seconds(10))
      let numbers = listed.outputText.split(whereSeparator: \.isWhitespace).compactMap {
        $0.split(separator: "/").last.flatMap { Int($0) }
      }
      #expect(numbers.sorted().starts(with: [0, 1, 2]))
      // The shell itself has one open while it reads the folder.
      #expect(numbers.count <= 4)
      let group = try HostCommand.run(
        ["sh", "-c", "read -r s < /proc/$$/stat; echo $s"], deadline: .seconds(10))
      let fields = group.outputText.split(separator: " ")
      #expect(fields.count > 4 && fields[0] == fields[4])
    }

    private func run(_ argv: [String]) throws -> HostCommandResult {
      try HostCommand.run(argv, deadline: .seconds(10))
    }
  }
}
