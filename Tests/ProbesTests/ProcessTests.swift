import Glibc
import RolloutModel
import Testing

/// What depends on the state of the whole process, each test in a process of its own.
@Suite("Probes in an odd process")
struct ProcessTests {
  @Test("The environment's proxies are not asked")
  func proxy() async {
    await #expect(processExitsWith: .success) {
      let proxy = try TestServer(text: page("proxy", status: "500 No"))
      for name in ["http_proxy", "all_proxy", "ALL_PROXY"] {
        setenv(name, "http://127.0.0.1:\(proxy.port)", 1)
      }
      let server = try TestServer(text: page("ok"))
      try #require(try await probe(server.port) == .healthy)
      try #require(proxy.requests.isEmpty)
    }
  }

  @Test("Without file descriptors nothing is said of the agent, and with them all is well again")
  func noDescriptors() async {
    await #expect(processExitsWith: .success) {
      let server = try TestServer(text: page("ok"))
      try #require(try await probe(server.port) == .healthy)
      var taken: [Int32] = []
      var limit = rlimit(rlim_cur: 64, rlim_max: 64)
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      while case let copy = dup(0), copy >= 0 { taken.append(copy) }
      for question in [ProbeDefinition.Question.http(path: "/"), .tcp] {
        let outcome = try await probe(server.port, question)
        try #require(outcome == .notAsked("no socket: too many open files"))
      }
      for descriptor in taken { close(descriptor) }
      try #require(try await probe(server.port) == .healthy)
    }
  }

  @Test("Probes leave no descriptor behind")
  func noLeaks() async {
    await #expect(processExitsWith: .success) {
      let server = try TestServer(text: page("ok"))
      let silent = try TestServer(answering: { $0.waitForEnd() })
      let prober = try makeProber()
      _ = try await probe(server.port)
      // The first sleep of a process opens what the runtime's timers need.
      try await Task.sleep(for: .milliseconds(1))
      let before = openDescriptors()
      for _ in 0..<50 {
        try #require(try await probe(server.port) == .healthy)
        try #require(try await probe(server.port, .tcp) == .healthy)
        try #require(try await probe(silent.port, timeout: Span(milliseconds: 5)) != .healthy)
        try #require(try await probe(freePort()) != .healthy)
      }
      // The servers' threads close their own ends a little later.
      for _ in 0..<10_000 where openDescriptors() > before { try await Task.sleep(for: .milliseconds(1)) }
      try #require(openDescriptors() <= before)
      withExtendedLifetime(prober) {}
    }
  }
}

/// Descriptors of this process that are open, of the first few thousand.
private func openDescriptors() -> Int { (0..<4096).count { fcntl($0, F_GETFD) >= 0 } }
