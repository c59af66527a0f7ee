import NIOCore
import NIOHTTP1
import Testing

@testable import AgentService

@Suite("Connections", .timeLimit(.minutes(5)), .serialized)
struct ConnectionTests {
  /// Holds so many connections on which it says `what`, until a line comes; tells how many the agent then still has.
  private static let crowd = """
    import socket, ssl, sys, time
    port, count, what = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    if what == "known":
        trust.load_cert_chain(sys.argv[4], sys.argv[5])
    held = []
    for _ in range(count):
        try:
            s = socket.create_connection(("127.0.0.1", port))
            if what != "silent":
                s = trust.wrap_socket(s)
            if what == "known":
                s.sendall(b"GET /v1/facts HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
                s.recv(100)
            held.append(s)
        except OSError:
            pass
    print(len(held), flush=True)
    time.sleep(float(sys.argv[6]))
    """

  @Test(
    "Strangers, however many and whatever they do, leave room for controllers, and theirs alone is limited",
    arguments: ["silent", "shy"])
  func strangers(what: String) async throws {
    var limits = Limits()
    limits.strangers = 8
    limits.connections = 8
    try await RunningAgent.with(limits: limits) { agent in
      async let crowd = run(["python3", "-c", Self.crowd, "\(agent.port)", "60", what, "", "", "6"])
      try await Task.sleep(for: .seconds(2))
      for _ in 0..<5 {
        let answer = try await agent.curl("/v1/facts", ["--max-time", "5"])
        #expect(answer.status == 200)
      }
      #expect(try await agent.curl("/healthz", as: nil, ["--max-time", "5"]).status == 200)
      let sockets = try await run(["ss", "-Htn", "state", "established", "sport = :\(agent.port)"])
      #expect(sockets.output.split(separator: "\n").count <= 9)
      let said = try await crowd
      #expect(said.output.contains("60") || what == "shy", "\(said)")
    }
  }

  @Test("Controllers that ask nothing give way to one that does")
  func idle() async throws {
    var limits = Limits()
    limits.strangers = 4
    limits.connections = 6
    try await RunningAgent.with(limits: limits) { agent in
      let pair = agent.authority.pair("ops")
      async let crowd = run([
        "python3", "-c", Self.crowd, "\(agent.port)", "30", "known", pair.certificate, pair.key, "4",
      ])
      try await Task.sleep(for: .seconds(2))
      for _ in 0..<5 {
        #expect(try await agent.curl("/v1/facts", ["--max-time", "5"]).status == 200)
      }
      #expect(try await crowd.output.contains("30"))
    }
  }

  @Test("Controllers that are all busy keep their connections, and one more is told so")
  func busy() async throws {
    var limits = Limits()
    limits.strangers = 4
    limits.connections = 2
    try await RunningAgent.with(limits: limits) { agent in
      try await FarServer.with(.unix(agent.scratch.file("host.sock")), serve: FarServer.echo) { _ in
        let first = try await DuplexClient.connect(agent)
        let second = try await DuplexClient.connect(agent)
        try await first.executeThenClose { responses, requests in
          try await second.executeThenClose { others, more in
            var answer = responses.makeAsyncIterator()
            var other = others.makeAsyncIterator()
            try await requests.write(DuplexClient.head("/v1/host"))
            try await more.write(DuplexClient.head("/v1/host"))
            #expect(try await answer.head().status == .ok)
            #expect(try await other.head().status == .ok)
            let refused = try await agent.curl("/v1/facts")
            #expect(refused.status == 503 && refused.body.contains("busy"))
            try await requests.write(DuplexClient.body([1]))
            #expect(try await answer.bytes(1) == [1])
          }
        }
      }
    }
  }
}
