import Ports
import Probes
import RolloutModel
import Testing

@Suite("HTTP probes")
struct HTTPTests {
  @Test("An answer that meets every expectation is healthy")
  func healthy() async throws {
    let server = try TestServer(
      text: page(#"{"version":"2.0.0","ready":true}"#, fields: ["X-Slot: green"]))
    let expect = Expect(
      json: [
        JSONField(path: "version", value: .text("2.0.0")), JSONField(path: "ready", value: .flag(true)),
      ],
      body: "ready", bodyMatches: #"version.{3}\d+\.\d+"#,
      headers: [HeaderField(name: "x-slot", value: "green")])
    #expect(try await probe(server.port, expect: expect, version: "2.0.0") == .healthy)
  }

  @Test("The request is a plain GET of the path as written, with our name and the address as Host")
  func request() async throws {
    let server = try TestServer(text: page("ok"))
    #expect(try await probe(server.port, .http(path: "/a/../b?c=%20d")) == .healthy)
    let head = try #require(server.requests.first)
    #expect(
      head.split(separator: "\r\n").map(String.init) == [
        "GET /a/../b?c=%20d HTTP/1.1", "Host: 127.0.0.1:\(server.port)", "User-Agent: switchyard/1.2.3",
        "Accept: */*",
      ])
  }

  @Test("Each sample has a connection of its own")
  func freshConnections() async throws {
    // Ports of the far side: two samples over one connection would show the same.
    let server = try TestServer(answering: { connection in
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
      connection.waitForEnd()
    })
    let prober = try makeProber()
    let request = ProbeRequest(
      probe: ProbeDefinition(question: .http(path: "/")),
      route: .direct(address: "127.0.0.1", port: server.port), timeout: ample, version: nil)
    for _ in 0..<3 { #expect(await prober.sample(request).isHealthy) }
    // The server reads one head per connection: requests that came over a used one would not be seen.
    #expect(server.requests.count == 3)
  }

  @Test("Another status is unhealthy, a redirect's own among them")
  func status() async throws {
    let sick = try TestServer(text: page("down", status: "503 Service Unavailable"))
    #expect(try await probe(sick.port) == .unhealthy("status 503, expected 200"))
    let healthy = try TestServer(text: page("ok"))
    let redirect = try TestServer(
      text: page("", status: "302 Found", fields: ["Location: http://127.0.0.1:\(healthy.port)/"]))
    #expect(try await probe(redirect.port) == .unhealthy("status 302, expected 200"))
    #expect(healthy.requests.isEmpty)
    #expect(try await probe(redirect.port, expect: Expect(status: 302)) == .healthy)
  }

  @Test("A healthy page of another version is of the wrong version")
  func wrongVersion() async throws {
    let server = try TestServer(text: page(#"{"version":"1.0.0"}"#))
    let expect = Expect(json: [JSONField(path: "version", value: .text("2.0.0"))])
    #expect(
      try await probe(server.port, expect: expect, version: "2.0.0")
        == .wrongVersion(#"version "1.0.0", expected "2.0.0""#))
    #expect(
      try await probe(server.port, expect: expect) == .unhealthy(#"version "1.0.0", expected "2.0.0""#))
  }

  @Test("The fields of an interim answer don't count, those of the final one do")
  func interimAnswer() async throws {
    let server = try TestServer(
      text: "HTTP/1.1 100 Continue\r\nX-Slot: green\r\n\r\n" + page("ok", fields: ["X-Slot: blue"]))
    let expect = Expect(headers: [HeaderField(name: "X-Slot", value: "green")])
    #expect(
      try await probe(server.port, expect: expect) == .unhealthy(#"header X-Slot "blue", expected "green""#))
    #expect(try await probe(server.port) == .healthy)
  }

  @Test("A field in a trailer doesn't count")
  func trailer() async throws {
    let server = try TestServer(
      text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Slot: green\r\n\r\n")
    let expect = Expect(body: "ok", headers: [HeaderField(name: "X-Slot", value: "green")])
    #expect(
      try await probe(server.port, expect: expect)
        == .unhealthy(#"header X-Slot is missing, expected "green""#))
  }

  @Test("Where nobody listens the connection is refused")
  func refused() async throws {
    #expect(try await probe(freePort()) == .noAnswer("connection refused"))
    #expect(try await probe(freePort(), .tcp) == .noAnswer("connection refused"))
  }

  @Test("TCP needs no more than an accepted connection")
  func tcp() async throws {
    let server = try TestServer(accepting: { $0.waitForEnd() })
    #expect(try await probe(server.port, .tcp) == .healthy)
  }

  @Test("IPv6 addresses are reached and stand in Host with brackets")
  func ipv6() async throws {
    let server = try TestServer(.ipv6, text: page("ok"))
    #expect(try await probe(server.port, address: "::1") == .healthy)
    #expect(server.requests.first?.contains("Host: [::1]:\(server.port)\r\n") == true)
  }

  @Test("A name that doesn't resolve says nothing of the agent")
  func unresolved() async throws {
    #expect(
      try await probe(80, address: "no-such-host.invalid") == .notAsked("the address does not resolve"))
  }

  @Test("An address that could be more than one is never asked")
  func hostileAddress() async throws {
    let outcome = try await probe(80, address: "127.0.0.1:1/@x\r\nX: y")
    #expect(
      outcome
        == .notAsked(
          #"address "127.0.0.1:1/@x\u{d}\u{a}X: y" can't stand in a URL: an IP address or an ASCII name can"#)
    )
  }
}
