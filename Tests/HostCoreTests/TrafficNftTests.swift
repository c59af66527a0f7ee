import Glibc
import RolloutModel
import Testing

@testable import HostCore

/// An agent's setup for traffic tests.
func trafficSetup(
  _ name: String = "demo", publicPort: Int = 8400, adopt: Int? = 8400, driver: TrafficDriver = .nftables
) throws -> AgentSetup {
  let definition = AgentDefinition(
    name: try #require(AgentName(name)), user: "root", strip: 0, exec: "agent", args: [], environment: [],
    slots: SlotPorts(blue: 7001, green: 7002), publicPort: publicPort, traffic: driver, drain: .seconds(1),
    concurrent: true, unitTemplate: nil, adopt: adopt.map { Adoption(unit: "old.service", port: $0) },
    health: [ProbeDefinition(question: .tcp)], dependencies: [])
  return AgentSetup(agent: definition, host: "h1")
}

extension HostTests {
  @Suite("Traffic by nftables") struct TrafficNftTests {
    @Test("every connection lives on through adopt, flip, flip back and give-back; new ones follow the owner")
    func connectionsSurvive() throws {
      let network = try TestNetwork()
      let agents = TestAgents(network)
      let setup = try trafficSetup()
      let traffic = NftTraffic()
      try agents.listen("adopted", 8400)
      try agents.listen("blue", 7001)
      try agents.listen("green", 7002)
      try agents.listen("elsewhere", 8400, at: .other)
      var idle = try agents.connections()
      var busy = try agents.connections()
      let download = Download(try #require(try agents.connect(.client, "10.77.0.2")))
      #expect(busy.allSatisfy { $0.agent == "adopted" })
      for side in [Side.blue, .green, .blue, .adopted] {
        #expect(download.go(on: 1 << 20))
        try network.inside(.host) {
          try traffic.move(setup, to: side)
          #expect(try traffic.holds(setup, owner: side))
        }
        #expect(download.go(on: 1 << 20))
        #expect(busy.filter { !$0.lives }.map(\.title).isEmpty, "after the move to \(side)")
        #expect(try agents.reached() == [side.rawValue])
        #expect(try agents.connect(.host, TestNetwork.otherAddress)?.agent == "elsewhere")
        let fresh = try agents.connections()
        #expect(fresh.allSatisfy { $0.agent == side.rawValue })
        busy += fresh
        idle += try agents.connections()
      }
      #expect(idle.filter { !$0.lives }.map(\.title).isEmpty)
      #expect(busy.filter { !$0.lives }.map(\.title).isEmpty)
      #expect(download.go(on: 1 << 20))
    }

    @Test("a plain redirect would cut connections that exist: tests like these see it")
    func plainRedirectCuts() throws {
      let network = try TestNetwork()
      let agents = TestAgents(network)
      try agents.listen("adopted", 8400)
      try agents.listen("blue", 7001)
      let before = try agents.connections()
      try network.nft(["add", "table", "inet", "plain"])
      for hook in ["prerouting", "output"] {
        try network.nft(["add chain inet plain \(hook) { type nat hook \(hook) priority -100; }"])
        try network.nft(["add rule inet plain \(hook) tcp dport 8400 redirect to :7001"])
      }
      #expect(before.contains { !$0.lives })
    }

    @Test("the host program can ask an adopted agent on the public port while a slot owns it")
    func pastTraffic() throws {
      let network = try TestNetwork()
      let agents = TestAgents(network)
      let setup = try trafficSetup()
      try agents.listen("blue", 7001)
      let probe = ProbeDefinition(question: .tcp)
      func adoptedFailure() throws -> String? {
        try network.inside(.host) {
          LocalAnswer.failure(of: probe, port: 8400, deadline: .seconds(3), pastTraffic: true)
        }
      }
      try network.inside(.host) {
        try NftTraffic().move(setup, to: .blue)
        #expect(LocalAnswer.failure(of: probe, port: 8400, deadline: .seconds(3)) == nil)
      }
      #expect(try adoptedFailure()?.contains("refused") == true)
      try agents.listen("adopted", 8400)
      #expect(try adoptedFailure() == nil)
      #expect(try agents.reached().contains("blue"))
    }

    @Test("an agent that is bound to one address is reached by it")
    func boundToOneAddress() throws {
      let network = try TestNetwork()
      let agents = TestAgents(network)
      let setup = try trafficSetup(adopt: nil)
      try agents.listen("secondary", 7001, on: "10.77.0.3")
      try agents.listen("secondary6", 7001, on: "fd77::3")
      try agents.listen("loopback", 7001, on: "127.0.0.1")
      try network.inside(.host) { try NftTraffic().move(setup, to: .blue) }
      for place in [TestNetwork.Place.client, .host] {
        #expect(try agents.connect(place, "10.77.0.3")?.agent == "secondary")
        #expect(try agents.connect(place, "fd77::3")?.agent == "secondary6")
        #expect(try agents.connect(place, "10.77.0.2") == nil)
      }
      #expect(try agents.connect(.host, "127.0.0.1")?.agent == "loopback")
    }

    @Test("without an owner nobody is reached, and connections that a slot has live on")
    func firstInstallUndone() throws {
      let network = try TestNetwork()
      let agents = TestAgents(network)
      let setup = try trafficSetup(adopt: nil)
      let traffic = NftTraffic()
      try agents.listen("blue", 7001)
      try network.inside(.host) {
        #expect(try traffic.observe(setup) == TrafficView(owner: nil))
        try traffic.move(setup, to: .blue)
      }
      let connections = try agents.connections()
      try network.inside(.host) {
        try traffic.move(setup, to: nil)
        #expect(try traffic.holds(setup, owner: nil))
      }
      #expect(try agents.reached() == ["nobody"])
      #expect(connections.filter { !$0.lives }.map(\.title).isEmpty)
    }

    @Test("an adopted agent that listens on another port is reached by that port")
    func adoptedElsewhere() throws {
      let network = try TestNetwork()
      let agents = TestAgents(network)
      let setup = try trafficSetup(adopt: 9000)
      let traffic = NftTraffic()
      try agents.listen("adopted", 9000)
      try agents.listen("blue", 7001)
      for side in [Side.adopted, .blue, .adopted] {
        try network.inside(.host) {
          try traffic.move(setup, to: side)
          #expect(try traffic.holds(setup, owner: side))
        }
        #expect(try agents.reached() == [side.rawValue])
      }
      let without = try trafficSetup(adopt: nil)
      try network.inside(.host) {
        #expect(failure { try traffic.move(without, to: .adopted) }?.code == .invalid)
      }
    }

    @Test("other tables stay as they are, agents do not disturb each other, and all of ours can be removed")
    func onlyOurs() throws {
      let network = try TestNetwork()
      let setup = try trafficSetup()
      let other = try trafficSetup("demo-two", publicPort: 8500, adopt: nil)
      let traffic = NftTraffic()
      try network.nft([
        "add table inet filter; add chain inet filter input { type filter hook input priority 0; policy accept; }"
      ])
      try network.nft(["add rule inet filter input tcp dport 9999 drop; add table ip nat"])
      let before = try network.nft(["list", "ruleset"])
      try network.inside(.host) {
        #expect(traffic.obstacle(setup) == nil)
        #expect(try network.nft(["list", "ruleset"]) == before)
        try traffic.move(setup, to: .blue)
        try traffic.move(other, to: .green)
        try traffic.move(setup, to: .green)
        #expect(try traffic.observe(other) == TrafficView(owner: .green))
        try traffic.remove(setup)
        try traffic.remove(setup)
        #expect(try traffic.observe(setup) == TrafficView(owner: .adopted))
        #expect(try traffic.observe(other) == TrafficView(owner: .green))
        try traffic.remove(other)
      }
      #expect(try network.nft(["list", "ruleset"]) == before)
    }

    @Test(
      "what others change in our table is seen, and repaired by the next move",
      arguments: [
        "add rule inet switchyard_demo prerouting tcp dport 1 accept",
        "insert rule inet switchyard_demo output tcp dport 8400 accept",
        "flush chain inet switchyard_demo output",
        "flush chain inet switchyard_demo hold",
        "add rule inet switchyard_demo hold ct state established",
        "flush chain inet switchyard_demo output; add rule inet switchyard_demo output tcp dport 8400 dnat to :7002",
        "flush table inet switchyard_demo",
        "add chain inet switchyard_demo evil { type filter hook input priority 0; policy accept; }",
        "add table inet switchyard_demo { flags dormant; }",
        "add set inet switchyard_demo s { type ipv4_addr; }",
        "delete table inet switchyard_demo; add table inet switchyard_demo; add chain inet switchyard_demo output { type filter hook output priority 0; policy drop; }",
        "delete table inet switchyard_demo; add table inet switchyard_demo",
        "delete table inet switchyard_demo",
        "flush ruleset",
      ])
    func disturbances(change: String) throws {
      let network = try TestNetwork()
      let agents = TestAgents(network)
      let setup = try trafficSetup()
      let traffic = NftTraffic()
      try agents.listen("adopted", 8400)
      try agents.listen("blue", 7001)
      try agents.listen("green", 7002)
      try network.inside(.host) { try traffic.move(setup, to: .blue) }
      let connections = try agents.connections()
      try network.nft([change])
      try network.inside(.host) {
        #expect(try !traffic.holds(setup, owner: .blue))
        try traffic.move(setup, to: .blue)
        #expect(try traffic.observe(setup) == TrafficView(owner: .blue))
      }
      #expect(try agents.reached() == ["blue"])
      #expect(connections.filter { !$0.lives }.map(\.title).isEmpty)
    }

    @Test("connections through a slot that are idle when the firewall is flushed live on after the repair")
    func flushed() throws {
      let network = try TestNetwork()
      let agents = TestAgents(network)
      let setup = try trafficSetup()
      let traffic = NftTraffic()
      try agents.listen("adopted", 8400)
      try agents.listen("blue", 7001)
      try network.inside(.host) { try traffic.move(setup, to: .blue) }
      let connections = try agents.connections()
      try network.nft(["flush", "ruleset"])
      #expect(try agents.connect(.client, "10.77.0.2")?.agent == "adopted")
      try network.inside(.host) { try traffic.move(setup, to: .blue) }
      #expect(connections.filter { !$0.lives }.map(\.title).isEmpty)
    }

    @Test("a change by anybody wakes the monitor, and nothing else does")
    func monitor() throws {
      let network = try TestNetwork()
      try network.inside(.host) {
        let monitor = NftMonitor()
        #expect(monitor.changed())
        let descriptor = try #require(monitor.descriptor())
        for _ in 0..<3 {
          #expect(!monitor.changed())
          try network.nft(["list", "ruleset"])
          #expect(!monitor.changed())
          try network.nft(["add table inet noise; delete table inet noise"])
          var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
          #expect(poll(&wait, 1, 5000) == 1)
          #expect(monitor.changed())
        }
        // More changes than the kernel keeps messages of.
        let many = (0..<400).map { "add table inet noise\($0); delete table inet noise\($0)" }.joined(
          separator: ";")
        for _ in 0..<20 { try network.nft([many]) }
        #expect(monitor.changed())
      }
    }
  }
}

/// A long download of which every byte is looked at.
private final class Download {
  private let connection: TestAgents.Connection
  private var sent = 0
  private var received = 0

  init(_ connection: TestAgents.Connection) { self.connection = connection }

  /// Moves so many bytes; false where one is lost, doubled or changed, or the connection breaks.
  func go(on count: Int) -> Bool {
    let end = sent + count
    while received < end {
      if sent < end {
        let piece = (sent..<min(sent + 8192, end)).map { UInt8($0 % 251) }
        let taken = connection.server.send(piece)
        if taken < 0 && errno != EAGAIN { return false }
        sent += max(taken, 0)
      }
      guard let bytes = connection.client.receive() else { return false }
      for byte in bytes {
        guard byte == UInt8(received % 251) else { return false }
        received += 1
      }
    }
    return true
  }
}
