import FoundationEssentials
import RolloutModel
import Testing

@testable import HostCore

@Suite("Services of a host")
struct ServiceControlTests {
  @Test(
    "A plain service's name is taken",
    arguments: [
      "caddy.service", "a.service", "getty@tty1.service", "my_app-2.1:x.service", "demo-blue.service",
    ])
  func good(text: String) { #expect(ServiceName(text)?.text == text) }

  @Test(
    "What is no plain service's name is refused",
    arguments: [
      "", ".service", "caddy", "caddy.socket", "reboot.target", "../caddy.service", "/etc/caddy.service",
      "a/b.service", "getty@.service", "@tty1.service", "a@b@c.service", "-a.service", ".a.service",
      "caddy.service\n", "caddy .service", "caddy;reboot.service", "$(reboot).service", "caddy\\x2d.service",
      "café.service", "*.service", "caddy.service --now", String(repeating: "a", count: 300) + ".service",
    ])
  func bad(text: String) { #expect(ServiceName(text) == nil) }

  @Test("A name that was sent is checked again where it is read")
  func decoded() throws {
    #expect(throws: DecodingError.self) {
      _ = try JSONDecoder().decode(ServiceName.self, from: Data(#""../caddy.service""#.utf8))
    }
    #expect(throws: Never.self) {
      _ = try JSONDecoder().decode(ServiceName.self, from: Data(#""caddy.service""#.utf8))
    }
  }

  private func unit(_ active: String, result: String = "success") -> UnitStatus {
    UnitStatus(
      unit: "a.service", loadState: "loaded", activeState: active, subState: "", invocation: "", restarts: 0,
      result: result, exitStatus: 0, mainPID: 0)
  }

  @Test("What came of an action is what was seen, not what systemd said of its job")
  func seen() {
    func isAsAsked(
      _ action: ServiceAction, _ unit: UnitStatus, type: String = "simple", job: String = "done",
      isAnew: Bool = true
    ) -> Bool {
      ServiceControl.isAsAsked(action, unit, type: type, job: job, isAnew: isAnew)
    }
    #expect(isAsAsked(.status, unit("failed")))
    #expect(isAsAsked(.start, unit("active"), isAnew: false))
    #expect(isAsAsked(.start, unit("active"), job: "timeout"))
    #expect(!isAsAsked(.start, unit("activating"), job: "running"))
    #expect(!isAsAsked(.start, unit("failed", result: "exit-code")))
    #expect(!isAsAsked(.start, unit("inactive")))
    #expect(isAsAsked(.start, unit("inactive"), type: "oneshot"))
    #expect(!isAsAsked(.start, unit("inactive"), type: "oneshot", job: "running"))
    #expect(!isAsAsked(.start, unit("failed", result: "exit-code"), type: "oneshot", job: "failed"))
    #expect(isAsAsked(.stop, unit("inactive")))
    #expect(isAsAsked(.stop, unit("failed", result: "timeout")))
    #expect(!isAsAsked(.stop, unit("deactivating"), job: "running"))
    #expect(!isAsAsked(.stop, unit("active"), job: "canceled"))
    #expect(isAsAsked(.restart, unit("active")))
    #expect(!isAsAsked(.restart, unit("active"), isAnew: false))
  }
}
