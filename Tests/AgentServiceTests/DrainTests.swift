import NIOCore
import NIOHTTP1
import RolloutModel
import Testing

@testable import AgentService

@Suite("The agent's end", .timeLimit(.minutes(5)))
struct DrainTests {
  @Test(
    "New connections are refused at once; a relay goes on to its end, and what follows it hears of the drain")
  func drains() async throws {
    try await RunningAgent.with { agent in
      try await FarServer.with(.unix(agent.scratch.file("host.sock")), serve: FarServer.echo) { _ in
        let client = try await DuplexClient.connect(agent)
        try await client.executeThenClose { responses, requests in
          var answer = responses.makeAsyncIterator()
          try await requests.write(DuplexClient.head("/v1/host"))
          #expect(try await answer.head().status == .ok)
          agent.stop()
          try await eventually("new connections are refused") {
            try await agent.curl("/healthz", as: nil).status == 0
          }
          try await requests.write(DuplexClient.body([1, 2, 3]))
          #expect(try await answer.bytes(3) == [1, 2, 3])
          // In one write, so that the request is there before the relay's end would close the connection.
          try await requests.write(
            contentsOf: [.end(nil), DuplexClient.head("/readyz", .GET, chunked: false), .end(nil)])
          #expect(try await answer.rest().isEmpty)
          let head = try await answer.head()
          #expect(head.status == .serviceUnavailable)
          #expect(String(decoding: try await answer.rest(), as: UTF8.self).contains(#""code":"draining""#))
          // Then the connection ends.
          #expect(try await answer.next() == nil)
        }
      }
    }
  }

  @Test("What is still there when the time is over is ended, and the agent ends well")
  func overTime() async throws {
    try await RunningAgent.with(configure: { configuration, _ in configuration.drain = .seconds(1) }) {
      agent in
      try await FarServer.with(.unix(agent.scratch.file("host.sock")), serve: FarServer.echo) { _ in
        let client = try await DuplexClient.connect(agent)
        try await client.executeThenClose { responses, requests in
          var answer = responses.makeAsyncIterator()
          try await requests.write(DuplexClient.head("/v1/host"))
          #expect(try await answer.head().status == .ok)
          agent.stop()
          await #expect(throws: (any Error).self) { try await answer.rest() }
        }
        try await eventually("the agent has drained") { agent.log.text.contains("drained") }
      }
    }
  }

  @Test("A connection on which nothing is asked does not keep the agent")
  func idleConnections() async throws {
    try await RunningAgent.with { agent in
      let client = try await DuplexClient.connect(agent)
      try await client.executeThenClose { responses, requests in
        var answer = responses.makeAsyncIterator()
        try await requests.write(contentsOf: [DuplexClient.head("/healthz", .GET, chunked: false), .end(nil)])
        #expect(try await answer.head().status == .ok)
        _ = try await answer.rest()
        agent.stop()
        #expect(try await answer.next() == nil)
      }
      try await eventually("the agent has drained") { agent.log.text.contains("drained") }
    }
  }

  @Test("A head that is too large is refused, and others are served on")
  func largeHeads() async throws {
    try await RunningAgent.with { agent in
      let one = try await agent.curl(
        "/healthz", as: nil, ["-H", "X-Large: \(String(repeating: "x", count: 60_000))"])
      #expect(one.status == 400 || one.status == 0)
      let many = try await agent.curl("/healthz", as: nil, (0..<500).flatMap { ["-H", "X-\($0): x"] })
      #expect(many.status == 400 || many.status == 0)
      #expect(try await agent.curl("/healthz", as: nil).status == 200)
    }
  }

  @Test("A client that says nothing is sent away")
  func silent() async throws {
    var limits = Limits()
    limits.firstHead = .milliseconds(300)
    try await RunningAgent.with(limits: limits) { agent in
      let ran = try await run(["openssl", "s_client", "-quiet", "-connect", "127.0.0.1:\(agent.port)"])
      // It ends, though neither side said anything.
      #expect(ran.output.isEmpty)
    }
  }
}
