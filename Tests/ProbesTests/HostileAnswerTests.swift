import RolloutModel
import Testing

@Suite("Probes of servers that misbehave")
struct HostileAnswerTests {
  private let json = Expect(json: [JSONField(path: "version", value: .text("2.0.0"))])

  @Test("A server that says nothing gives no answer")
  func silence() async throws {
    let server = try TestServer(answering: { $0.waitForEnd() })
    #expect(try await probe(server.port, timeout: brief) == .noAnswer("no answer within 200ms"))
  }

  @Test("Header fields that drip in for ever give no answer")
  func drippingHeader() async throws {
    let server = try TestServer(answering: { connection in
      var isOpen = connection.send("HTTP/1.1 200 OK\r\nX-Long: ")
      while isOpen {
        pause(milliseconds: 20)
        isOpen = connection.send("a")
      }
    })
    #expect(try await probe(server.port, timeout: patient) == .noAnswer("answer not complete within 4s"))
  }

  @Test("A body that drips in for ever gives no answer, whatever its status")
  func drippingBody() async throws {
    let server = try TestServer(answering: { connection in
      var isOpen = connection.send("HTTP/1.1 200 OK\r\n\r\n")
      while isOpen {
        pause(milliseconds: 20)
        isOpen = connection.send("a")
      }
    })
    #expect(try await probe(server.port, timeout: patient) == .noAnswer("answer not complete within 4s"))
  }

  @Test("Of a body without end the first 64 KiB are judged, and the reason says so")
  func endlessBody() async throws {
    let server = try TestServer(answering: { connection in
      var isOpen = connection.send("HTTP/1.1 200 OK\r\n\r\nready ")
      while isOpen { isOpen = connection.send([UInt8](repeating: 0x61, count: 10_000)) }
    })
    #expect(try await probe(server.port, expect: Expect(body: "ready")) == .healthy)
    #expect(
      try await probe(server.port, expect: Expect(body: "steady"))
        == .unhealthy(#"body does not contain "steady" in its first 65536 bytes"#))
    #expect(
      try await probe(server.port, expect: json)
        == .unhealthy("body is longer than 65536 bytes: its JSON is not read"))
  }

  @Test("A body of exactly 64 KiB is not cut")
  func fullBody() async throws {
    let body = #"{"version":"2.0.0"}"#
    let server = try TestServer(
      text: page(body + String(repeating: " ", count: 65536 - body.utf8.count)))
    #expect(try await probe(server.port, expect: json) == .healthy)
  }

  @Test("Header fields without end are given up")
  func endlessFields() async throws {
    let server = try TestServer(answering: { connection in
      var isOpen = connection.send("HTTP/1.1 200 OK\r\n")
      while isOpen { isOpen = connection.send("X-More: \(String(repeating: "a", count: 1000))\r\n") }
    })
    #expect(try await probe(server.port) == .noAnswer("more than 65536 bytes of header fields"))
  }

  @Test("A compressed body is taken as it came, never unpacked")
  func compressedBody() async throws {
    // A megabyte of zeros, so packed, would begin like this.
    let packed: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xed, 0xc1, 1, 1, 0, 0, 0, 0x80, 0x90]
    let server = try TestServer(answering: { connection in
      connection.send(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: \(packed.count)\r\n\r\n")
      connection.send(packed)
    })
    #expect(try await probe(server.port) == .healthy)
    #expect(try await probe(server.port, expect: json) == .unhealthy("body is not JSON"))
  }

  @Test(
    "What is not JSON is told to be none", arguments: ["", "{", "NaN", #"{"version":NaN}"#, "{}\0", "<html>"])
  func badJSON(body: String) async throws {
    let server = try TestServer(text: page(body))
    #expect(try await probe(server.port, expect: json) == .unhealthy("body is not JSON"))
  }

  @Test("Deep JSON is given up", arguments: ["[", #"{"version":"#])
  func deepJSON(piece: String) async throws {
    let server = try TestServer(text: page(String(repeating: piece, count: 60_000 / piece.utf8.count)))
    #expect(try await probe(server.port, expect: json) == .unhealthy("body is not JSON"))
  }

  @Test("What is not UTF-8 is not JSON")
  func invalidText() async throws {
    let body: [UInt8] = Array(#"{"version":"2.0.0","x":""#.utf8) + [0xff, 0xfe] + Array(#""}"#.utf8)
    let server = try TestServer(answering: { connection in
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n")
      connection.send(body)
    })
    #expect(try await probe(server.port, expect: json) == .unhealthy("body is not JSON"))
    #expect(try await probe(server.port, expect: Expect(body: "2.0.0")) == .healthy)
    #expect(try await probe(server.port, expect: Expect(bodyMatches: #"\d\.\d\.\d"#)) == .healthy)
  }

  @Test(
    "Nonsense for chunks, for a status line, or for a length gives no answer",
    arguments: [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nok\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok", "HTTP/1.1 banana\r\n\r\nok", "ok\r\n", "\0\0\0\0",
      "220 mail.example ESMTP\r\n",
    ])
  func nonsense(answer: String) async throws {
    let server = try TestServer(text: answer)
    let outcome = try await probe(server.port)
    guard case .noAnswer = outcome else {
      Issue.record("taken for an answer: \(outcome)")
      return
    }
  }

  @Test("A connection that closes early gives no answer")
  func closesEarly() async throws {
    let atOnce = try TestServer(accepting: { _ in })
    guard case .noAnswer = try await probe(atOnce.port) else {
      Issue.record("taken for an answer")
      return
    }
    let afterHead = try TestServer(answering: { _ in })
    #expect(try await probe(afterHead.port) == .noAnswer("connection closed without an answer"))
    let inBody = try TestServer(text: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
    #expect(
      try await probe(inBody.port) == .noAnswer("connection closed in the middle of the answer"))
  }

  @Test("What a server says reaches a reason escaped and short")
  func escaping() async throws {
    let long = String(repeating: "x", count: 1000)
    let server = try TestServer(text: page(#"{"version":"\u001b[2J\u202e"# + long + #""}"#))
    let outcome = try await probe(server.port, expect: json)
    let reason = try #require(Sample(outcome: outcome, took: .zero).reason)
    #expect(reason.hasPrefix(#"version "\u{1b}[2J\u{202e}xxx"#))
    #expect(reason.hasSuffix(#"x…", expected "2.0.0""#))
    #expect(reason.utf8.count < 150)
  }

  @Test("A pattern that never gets done is not healthy, and holds up no other probe")
  func runawayPattern() async throws {
    let server = try TestServer(text: page(String(repeating: "a", count: 40)))
    let outcome = try await probe(
      server.port, expect: Expect(bodyMatches: "(a+)+b"), timeout: patient)
    #expect(outcome == .noAnswer("/(a+)+b/ took too long to match; a simpler pattern would not"))
    #expect(try await probe(server.port, expect: Expect(bodyMatches: "a{40}")) == .healthy)
  }

  @Test("Text that is no pattern says nothing of the agent")
  func badPattern() async throws {
    let server = try TestServer(text: page("ok"))
    #expect(
      try await probe(server.port, expect: Expect(bodyMatches: "(a"))
        == .notAsked("/(a/ is not a regular expression"))
    #expect(
      try await probe(server.port, expect: Expect(bodyMatches: "^no$"))
        == .unhealthy("body does not match /^no$/"))
  }
}
