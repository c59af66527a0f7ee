import Agents
import Certificates
import Ports
import RolloutModel
import Testing

@Suite("A look at an agent's certificate")
struct AgentVisitTests {
  @Test("The one that is served is warned of when its end is near, and is a problem once that is past")
  func ends() async throws {
    let site = try Site()
    site.showsOwn(try site.credentials().der)
    let definition = AgentDefinition(
      name: try #require(AgentName("switchyard-agent")), user: "switchyard-agent", strip: 0, exec: "bin/a",
      args: [], environment: [], slots: SlotPorts(blue: 7441, green: 7442), publicPort: 7440,
      traffic: .nftables, drain: .seconds(1), concurrent: true, unitTemplate: nil, adopt: nil,
      health: [ProbeDefinition(question: .tcp)], dependencies: [])
    /// Days that have passed, and whether it is warned of and a problem.
    for (day, isWarned, isProblem) in [
      (0, false, false), (59, false, false), (61, true, false), (91, false, true),
    ] {
      site.clock.wall = Clock().wall + Int64(day) * 86_400_000
      // What is newly issued changes nothing for clients as long as it is not served.
      if day == 61 { _ = try site.authority.renew(["web-1"]) }
      let sight = await AgentVisit(
        doors: [("ssh", site)], definition: definition, look: site, prober: site, time: site.clock
      ).see(Host(name: "web-1", address: "192.0.2.7"))
      #expect(sight.warnings.contains { $0.contains("ends soon") } == isWarned, "day \(day)")
      #expect(sight.problems.contains("its certificate has ended") == isProblem, "day \(day)")
    }
  }
}
