import Ports
import Probes
import RolloutModel
import Testing

@Suite("Many probes on one loop")
struct LoadTests {
  private func request(_ port: Int, timeout: Span = ample, version: String? = nil) -> ProbeRequest {
    let expect = Expect(json: [JSONField(path: "version", value: .text(version ?? "2.0.0"))])
    return ProbeRequest(
      probe: ProbeDefinition(question: .http(path: "/"), expect: expect),
      route: .direct(address: "127.0.0.1", port: port), timeout: timeout, version: version)
  }

  @Test("500 at once are each answered by their own server")
  func manyAtOnce() async throws {
    let old = try TestServer(text: page(#"{"version":"1.0.0"}"#))
    let new = try TestServer(text: page(#"{"version":"2.0.0"}"#))
    let prober = try makeProber()
    let outcomes = await withTaskGroup(of: (Int, Sample.Outcome).self) { group in
      for index in 0..<500 {
        let request = request(index.isMultiple(of: 2) ? old.port : new.port, version: "2.0.0")
        group.addTask { (index, await prober.sample(request).outcome) }
      }
      return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
    for index in 0..<500 {
      let expected: Sample.Outcome =
        index.isMultiple(of: 2) ? .wrongVersion(#"version "1.0.0", expected "2.0.0""#) : .healthy
      #expect(outcomes[index] == expected)
    }
  }

  @Test("No more than the limit are in flight, and the others come after")
  func limit() async throws {
    let gauge = Gauge()
    let server = try TestServer(answering: { connection in
      gauge.enter()
      pause(milliseconds: 5)
      gauge.leave()
      connection.send(page(#"{"version":"2.0.0"}"#))
    })
    let prober = try makeProber(inFlight: 3)
    let request = request(server.port)
    let healthy = await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<30 { group.addTask { await prober.sample(request).isHealthy } }
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(healthy == 30)
    #expect(gauge.most <= 3)
  }

  @Test("A probe that finds no place within its timeout was not asked")
  func noPlace() async throws {
    let server = try TestServer(answering: { $0.waitForEnd() })
    let prober = try makeProber(inFlight: 1)
    let hanging = Task { [request = request(server.port)] in await prober.sample(request) }
    for _ in 0..<10_000 where server.requests.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
    let outcome = await prober.sample(request(server.port, timeout: brief)).outcome
    #expect(outcome == .notAsked("waited 200ms behind 1 other probes"))
    hanging.cancel()
    #expect(await hanging.value.outcome == .notAsked("cancelled"))
  }

  @Test("A cancelled probe ends at once and gives its place to the next")
  func cancellation() async throws {
    let silent = try TestServer(answering: { $0.waitForEnd() })
    let server = try TestServer(text: page(#"{"version":"2.0.0"}"#))
    let prober = try makeProber(inFlight: 1)
    let hanging = Task { [request = request(silent.port)] in await prober.sample(request) }
    for _ in 0..<10_000 where silent.requests.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
    let waiting = Task { [request = request(silent.port)] in await prober.sample(request) }
    let next = Task { [request = request(server.port)] in await prober.sample(request) }
    waiting.cancel()
    #expect(await waiting.value.outcome == .notAsked("cancelled"))
    hanging.cancel()
    #expect(await hanging.value.outcome == .notAsked("cancelled"))
    #expect(await next.value.outcome == .healthy)
    let already = Task { [request = request(server.port)] in
      withUnsafeCurrentTask { $0?.cancel() }
      return await prober.sample(request).outcome
    }
    #expect(await already.value == .notAsked("cancelled"))
  }
}
