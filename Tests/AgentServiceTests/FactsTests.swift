import Testing

@testable import AgentService

@Suite("Facts")
struct FactsTests {
  @Test("The kernel's files are read as they are written")
  func files() {
    #expect(
      HostFacts.memory("MemTotal:        2048 kB\nMemFree:  1 kB\nMemAvailable:    1024 kB\n")
        == ["total_bytes": 2_097_152, "available_bytes": 1_048_576])
    #expect(HostFacts.load("0.50 0.25 0.00 1/234 5678\n") == [.decimal(0.5), .decimal(0.25), .decimal(0)])
    #expect(HostFacts.uptime("12345.67 999.0\n") == 12_345)
    #expect(HostFacts.name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n") == "Debian GNU/Linux 12")
  }

  @Test(
    "What is not there, or is written otherwise, is null",
    arguments: ["", "x", "MemTotal: 99999999999999999999 kB"])
  func rubbish(text: String) {
    #expect(HostFacts.memory(text) == ["total_bytes": .null, "available_bytes": .null])
    #expect(HostFacts.load(text) == .null)
    #expect(HostFacts.uptime(text) == .null)
    #expect(HostFacts.name(text) == nil)
  }

  @Test("This host has a name, a kernel, a boot and a disk")
  func here() {
    guard case .object(let facts) = HostFacts(slot: "green", version: "1.0").read() else {
      Issue.record("no object")
      return
    }
    for key in ["hostname", "kernel", "architecture", "cores", "boot_id", "uptime_seconds", "disk", "load"] {
      #expect(facts[key] != nil && facts[key] != .null && facts[key] != "", "\(key)")
    }
    #expect(facts["agent"] == ["version": "1.0", "slot": "green"])
  }
}
