import Ports
import RolloutModel
import Testing

@testable import Probes

@Suite("What reaches a URL")
struct TargetTests {
  private func url(
    _ address: String, port: Int = 80, _ question: ProbeDefinition.Question = .http(path: "/")
  ) -> String? {
    let request = ProbeRequest(
      probe: ProbeDefinition(question: question), route: .direct(address: address, port: port),
      timeout: .seconds(1), version: nil)
    // Nil stands for the refusal.
    return try? Target(request).url
  }

  @Test("Names and addresses stand as URLs write them")
  func good() {
    #expect(url("agent-1.example") == "http://agent-1.example:80/")
    #expect(url("192.0.2.7", port: 65535) == "http://192.0.2.7:65535/")
    #expect(url("2001:db8::1") == "http://[2001:db8::1]:80/")
    #expect(url("fe80::1%eth0") == "http://[fe80::1%25eth0]:80/")
    #expect(url("a", .https(path: "/x?y=1", verify: true)) == "https://a:80/x?y=1")
    #expect(url("a", .tcp) == "http://a:80/")
  }

  @Test(
    "What could mean another host is refused",
    arguments: [
      "", "a b", "a/b", "a@b", "a:80", "a#b", "a?b", "[::1]", "::1]", "a%41", "fe80::1%", "fe80::1%a/b",
      "::1%a]b",
      "münchen.example", "a\r\nb", "a\0b", "::g", "{a}", String(repeating: "a", count: 254),
    ])
  func badAddress(address: String) { #expect(url(address) == nil) }

  @Test(
    "What is no path is refused",
    arguments: [
      "", "x", "/a b", "/a#b", "/\r\nX: y", "/\0", "/ü", "/\u{7f}", "/" + String(repeating: "a", count: 2048),
    ])
  func badPath(path: String) {
    #expect(url("a", .http(path: path)) == nil)
    #expect(url("a", .https(path: path, verify: false)) == nil)
  }

  @Test("Ports are 1 to 65535", arguments: [0, -1, 65536, .max, .min])
  func badPort(port: Int) { #expect(url("a", port: port) == nil) }

  @Test(
    "Sockets of tunnels have paths that fit", arguments: ["", "/a\0b", String(repeating: "a", count: 108)])
  func badSocket(path: String) {
    let request = ProbeRequest(
      probe: ProbeDefinition(question: .tcp), route: .tunnel(socket: path, address: "a", port: 1),
      timeout: .seconds(1), version: nil)
    #expect(throws: Target.Invalid.self) { try Target(request) }
  }
}
