import NIOCore
import NIOHTTP1
import Testing

@testable import AgentService

@Suite("Tunnels", .timeLimit(.minutes(5)))
struct TunnelTests {
  @Test("A listed port is reached, byte for byte")
  func reached() async throws {
    try await FarServer.with(.tcp, serve: FarServer.echo) { far in
      try await RunningAgent.with(configure: { configuration, _ in configuration.tunnels = [far.port] }) {
        agent in
        let client = try await DuplexClient.connect(agent)
        try await client.executeThenClose { responses, requests in
          var answer = responses.makeAsyncIterator()
          try await requests.write(DuplexClient.head("/v1/tunnel?port=\(far.port)"))
          #expect(try await answer.head().status == .ok)
          let pieces = Pattern.pieces(5, 1 << 20)
          async let sent: Void = {
            for piece in pieces { try await requests.write(DuplexClient.body(piece)) }
            try await requests.write(.end(nil))
          }()
          #expect(try await answer.rest() == pieces.flatMap { $0 })
          try await sent
        }
      }
    }
  }

  @Test("A port where nobody listens is 502, before anything else is answered")
  func refused() async throws {
    // A port that was free a moment ago.
    let port = try await FarServer.with(.tcp, serve: FarServer.echo) { $0.port }
    try await RunningAgent.with(configure: { configuration, _ in configuration.tunnels = [port] }) { agent in
      let (status, body) = try await agent.curl("/v1/tunnel?port=\(port)", ["-d", "hello"])
      #expect(status == 502)
      #expect(body.hasPrefix(#"{"error":{"code":"refused","#))
    }
  }

  @Test(
    "Ports that are not listed, and what is no port, are refused",
    arguments: [
      ("?port=22", 403), ("", 400), ("?port=", 400), ("?port=70000", 400), ("?port=-1", 400),
      ("?port=1x", 400),
      ("?port=9999&port=22", 400), ("?port=99999999999999999999", 400),
    ])
  func forbidden(query: String, wanted: Int) async throws {
    try await RunningAgent.with(configure: { configuration, _ in configuration.tunnels = [9999] }) { agent in
      let (status, _) = try await agent.curl("/v1/tunnel\(query)", ["-d", "hello"])
      #expect(status == wanted)
    }
  }
}
