import Ports
import Probes
import RolloutModel
import Testing

@Suite("Probes through a tunnel's socket")
struct TunnelTests {
  private let folder: Scratch
  private var socket: String { folder.file("socket") }

  init() throws { folder = try Scratch() }

  private func outcome(
    _ question: ProbeDefinition.Question, grace: Span = ample
  ) async throws -> Sample.Outcome {
    let request = ProbeRequest(
      probe: ProbeDefinition(question: question),
      route: .tunnel(socket: socket, address: "agent.example", port: 7001), timeout: ample, version: nil)
    return try await makeProber(tunnelGrace: grace).sample(request).outcome
  }

  @Test("HTTP goes through the socket, with the far side's name as Host")
  func http() async throws {
    let server = try TestServer(.unix(path: socket), text: page("ok"))
    #expect(try await outcome(.http(path: "/")) == .healthy)
    #expect(server.requests.first?.contains("\r\nHost: agent.example:7001\r\n") == true)
  }

  @Test("A tunnel that closes without a byte was refused on its far side")
  func refused() async throws {
    let server = try TestServer(.unix(path: socket), accepting: { _ in })
    for question in [ProbeDefinition.Question.tcp, .http(path: "/"), .tcp, .http(path: "/")] {
      let outcome = try await outcome(question)
      #expect(outcome == .noAnswer("tunnel closed without a byte: refused there"))
    }
    withExtendedLifetime(server) {}
  }

  @Test("A tunnel whose socket is gone when it closes has lost its way, which says nothing of the agent")
  func lostWay() async throws {
    for question in [ProbeDefinition.Question.tcp, .http(path: "/")] {
      let server = try TestServer(.unix(path: socket), accepting: { [socket] _ in removeFile(socket) })
      #expect(try await outcome(question) == .notAsked("tunnel: no way to the host"))
      withExtendedLifetime(server) {}
    }
  }

  @Test("TCP is healthy where the tunnel stays open, and where it brings a byte")
  func accepted() async throws {
    for (says, grace) in [("", brief), ("220 ready\r\n", ample)] {
      let server = try TestServer(
        .unix(path: socket),
        accepting: { connection in
          connection.send(says)
          connection.waitForEnd()
        })
      #expect(try await outcome(.tcp, grace: grace) == .healthy)
      withExtendedLifetime(server) {}
      removeFile(socket)
    }
  }

  @Test("A refusal that takes a while to come back is still seen")
  func refusedLater() async throws {
    let server = try TestServer(.unix(path: socket), accepting: { _ in pause(milliseconds: 50) })
    #expect(try await outcome(.tcp) == .noAnswer("tunnel closed without a byte: refused there"))
    withExtendedLifetime(server) {}
  }

  @Test("A tunnel that isn't there, or where nobody listens, says nothing of the agent")
  func gone() async throws {
    #expect(try await outcome(.tcp) == .notAsked("tunnel: no such file or directory"))
    #expect(
      try await outcome(.http(path: "/")) == .notAsked("tunnel: no such file or directory"))
    do { _ = try TestServer(.unix(path: socket), accepting: { _ in }) }
    let outcome = try await outcome(.http(path: "/"))
    #expect(outcome == .notAsked("tunnel: connection refused"))
  }
}
