import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import AgentService

@Suite("Relays", .timeLimit(.minutes(5)))
struct RelayTests {
  private static let mebibytes = 8 << 20

  /// Runs a relay to the host socket, which `serve` is behind.
  private func relay(
    limits: Limits = Limits(), serve: @escaping @Sendable (FarConnection) async throws -> Void,
    _ talk:
      @escaping @Sendable (DuplexClient.Responses, DuplexClient.Requests, RunningAgent) async throws -> Void
  ) async throws {
    try await RunningAgent.with(limits: limits) { agent in
      try await FarServer.with(.unix(agent.scratch.file("host.sock")), serve: serve) { _ in
        let client = try await DuplexClient.connect(agent)
        try await client.executeThenClose { try await talk($0, $1, agent) }
      }
    }
  }

  @Test("The answer's head comes before anything was sent, and each piece as soon as it was sent")
  func interleaved() async throws {
    try await relay(serve: FarServer.echo) { responses, requests, agent in
      var answer = responses.makeAsyncIterator()
      try await requests.write(DuplexClient.head("/v1/host"))
      let head = try await answer.head()
      #expect(head.status == .ok)
      #expect(head.headers["content-type"] == ["application/octet-stream"])
      // Each round waits for the last one's answer: a side that collects the body would hang here.
      for round in 0..<50 {
        let piece = Array("piece \(round)".utf8)
        try await requests.write(DuplexClient.body(piece))
        #expect(try await answer.bytes(piece.count) == piece)
      }
      try await requests.write(.end(nil))
      #expect(try await answer.rest().isEmpty)
      try await eventually("the relay's end is logged") {
        agent.log.text.contains("a relay ended client=ops") && agent.log.text.contains("down=390")
      }
    }
  }

  @Test("Megabytes both ways at once arrive whole")
  func bothWays() async throws {
    let count = Self.mebibytes
    try await relay(serve: { far in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          for piece in Pattern.pieces(7, count) { try await far.write(piece) }
          try await far.end()
        }
        group.addTask {
          var received: [UInt8] = []
          for try await piece in far.incoming { received += piece.readableBytesView }
          #expect(received == Pattern.pieces(11, count).flatMap { $0 })
        }
        try await group.waitForAll()
      }
    }) { responses, requests, _ in
      try await requests.write(DuplexClient.head("/v1/host"))
      async let sent: Void = {
        for piece in Pattern.pieces(11, count) { try await requests.write(DuplexClient.body(piece)) }
        try await requests.write(.end(nil))
      }()
      var answer = responses.makeAsyncIterator()
      #expect(try await answer.head().status == .ok)
      let received = try await answer.rest()
      try await sent
      #expect(received == Pattern.pieces(7, count).flatMap { $0 })
    }
  }

  @Test("What is sent comes back byte for byte, in whatever pieces")
  func echo() async throws {
    try await relay(serve: FarServer.echo) { responses, requests, _ in
      try await requests.write(DuplexClient.head("/v1/host"))
      var pattern = Pattern(3)
      let all = pattern.next(Self.mebibytes)
      async let sent: Void = {
        var rest = all[...]
        var size = 1
        while !rest.isEmpty {
          try await requests.write(DuplexClient.body(Array(rest.prefix(size))))
          rest = rest.dropFirst(size)
          size = size % 100_000 * 3 + 1
        }
        try await requests.write(.end(nil))
      }()
      var answer = responses.makeAsyncIterator()
      #expect(try await answer.head().status == .ok)
      #expect(try await answer.rest() == all)
      try await sent
    }
  }

  @Test("A client that reads nothing stops the far side, and nothing grows")
  func backPressure() async throws {
    let written = Counter()
    try await relay(serve: { far in
      for _ in 0..<1024 {
        try await far.write([UInt8](repeating: 1, count: 65_536))
        written.add(65_536)
      }
      try await far.end()
    }) { responses, requests, _ in
      try await requests.write(DuplexClient.head("/v1/host"))
      // Until nothing moves any more; the 64 MiB do not fit between the two.
      var last = -1
      while last != written.value {
        last = written.value
        try await Task.sleep(for: .milliseconds(500))
      }
      #expect(written.value < 32 << 20)
      try await requests.write(.end(nil))
      var answer = responses.makeAsyncIterator()
      #expect(try await answer.head().status == .ok)
      #expect(try await answer.rest().count == 64 << 20)
    }
  }

  @Test("The end of the request is told to the far side, which may still answer")
  func requestEndsFirst() async throws {
    try await relay(serve: { far in
      var count = 0
      for try await piece in far.incoming { count += piece.readableBytes }
      try await far.write("\(count) bytes came")
      try await far.end()
    }) { responses, requests, _ in
      var answer = responses.makeAsyncIterator()
      try await requests.write(DuplexClient.head("/v1/host"))
      try await requests.write(DuplexClient.body(Array("hello".utf8)))
      #expect(try await answer.head().status == .ok)
      try await requests.write(.end(nil))
      #expect(String(decoding: try await answer.rest(), as: UTF8.self) == "5 bytes came")
    }
  }

  @Test("The far side's end ends the answer, and the request still arrives there")
  func answerEndsFirst() async throws {
    let received = Counter()
    try await relay(serve: { far in
      try await far.write("that is all")
      try await far.end()
      // So late that the request's end is there before all of it fits between the two.
      try await Task.sleep(for: .milliseconds(300))
      for try await piece in far.incoming { received.add(piece.readableBytes) }
    }) { responses, requests, _ in
      var answer = responses.makeAsyncIterator()
      try await requests.write(DuplexClient.head("/v1/host"))
      #expect(try await answer.head().status == .ok)
      #expect(String(decoding: try await answer.rest(), as: UTF8.self) == "that is all")
      for _ in 0..<128 {
        try await requests.write(DuplexClient.body([UInt8](repeating: 2, count: 65_536)))
      }
      try await requests.write(.end(nil))
      try await eventually("the far side has all of the request") { received.value == 8 << 20 }
    }
  }

  @Test("A far side that closes without reading still has its last words delivered")
  func farCloses() async throws {
    try await relay(serve: { far in
      try await far.write([UInt8](repeating: 3, count: 100_000))
      try await far.flush()
    }) { responses, requests, _ in
      var answer = responses.makeAsyncIterator()
      try await requests.write(DuplexClient.head("/v1/host"))
      for _ in 0..<8 {
        // The connection may end under this.
        try? await requests.write(DuplexClient.body([UInt8](repeating: 2, count: 16_384)))
      }
      #expect(try await answer.head().status == .ok)
      #expect(try await answer.bytes(100_000).count == 100_000)
      // A socket that is closed with something unread in it is reset: then the answer breaks off here, else it ends.
      do { #expect(try await answer.rest().isEmpty) } catch {}
    }
  }

  @Test("Requests follow each other on one connection after a relay")
  func reused() async throws {
    try await relay(serve: FarServer.echo) { responses, requests, _ in
      var answer = responses.makeAsyncIterator()
      for _ in 0..<3 {
        try await requests.write(DuplexClient.head("/v1/host"))
        #expect(try await answer.head().status == .ok)
        try await requests.write(DuplexClient.body([1, 2, 3]))
        try await requests.write(.end(nil))
        #expect(try await answer.rest() == [1, 2, 3])
      }
    }
  }

  @Test("A client that goes away ends the far side's connection")
  func clientGoes() async throws {
    let ended = Counter()
    try await RunningAgent.with { agent in
      try await FarServer.with(
        .unix(agent.scratch.file("host.sock")),
        serve: { far in
          // However it ends.
          do { for try await _ in far.incoming {} } catch {}
          ended.add(1)
        }
      ) { _ in
        let client = try await DuplexClient.connect(agent)
        try await client.executeThenClose { responses, requests in
          var answer = responses.makeAsyncIterator()
          try await requests.write(DuplexClient.head("/v1/host"))
          #expect(try await answer.head().status == .ok)
          try await requests.write(DuplexClient.body([1]))
        }
        try await eventually("the far side's connection has ended") { ended.value == 1 }
      }
    }
  }

  @Test("A relay in which nothing moves is ended")
  func idle() async throws {
    var limits = Limits()
    limits.relayIdle = .milliseconds(500)
    try await relay(limits: limits, serve: { far in for try await _ in far.incoming {} }) {
      responses, requests, _ in
      var answer = responses.makeAsyncIterator()
      try await requests.write(DuplexClient.head("/v1/host"))
      #expect(try await answer.head().status == .ok)
      await #expect(throws: (any Error).self) { try await answer.rest() }
    }
  }

  @Test("Without the host program's socket the answer is 503, and says so")
  func noHost() async throws {
    try await RunningAgent.with { agent in
      let (status, body) = try await agent.curl("/v1/host", ["-d", "hello"])
      #expect(status == 503)
      #expect(body.contains(#""code":"host_unavailable""#))
      #expect(body.contains("host.sock"))
    }
  }
}

/// Counts, from any task.
final class Counter: Sendable {
  private let count = Mutex(0)
  var value: Int { count.withLock { $0 } }
  func add(_ more: Int) { count.withLock { $0 += more } }
}
