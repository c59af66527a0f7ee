import FoundationEssentials
import PolicyFiles
import RolloutModel
import Testing

@testable import AgentService

@Suite("The files that ship with the agent")
struct ShippedFilesTests {
  private static let root = String(
    #filePath.dropLast("Tests/AgentServiceTests/ShippedFilesTests.swift".count))

  private func text(_ path: String) throws -> String {
    try String(contentsOf: URL(filePath: Self.root + path), encoding: .utf8)
  }

  @Test("Switchyard can upgrade its own agent: the agent file is good, and names the unit beside it")
  func agentFile() throws {
    let agent = try AgentFile.load(path: Self.root + "units/switchyard-agent.agent.yml")
    #expect(agent.name.text == "switchyard-agent")
    let unit = try #require(agent.unitTemplate)
    #expect(unit == (try text("units/switchyard-agent.service")))
    // Each slot runs its own release.
    #expect(unit.contains("ExecStart=/opt/switchyard/switchyard-agent/{{ slot }}/\(agent.exec) "))
    #expect(unit.contains("--config \(AgentConfiguration.defaultPath)\n"))
    #expect(agent.environment.contains { $0.name == "SLOT" && $0.value == "{{ slot }}" })
  }

  @Test("The unit waits longer for the agent's end than the agent drains")
  func drain() throws {
    let agent = try AgentFile.load(path: Self.root + "units/switchyard-agent.agent.yml")
    let unit = try text("units/switchyard-agent.service")
    let line = try #require(unit.split(separator: "\n").first { $0.hasPrefix("TimeoutStopSec=") })
    let limit = try #require(Span(String(line.dropFirst("TimeoutStopSec=".count))))
    #expect(limit > agent.drain)
  }

  @Test(
    "A socket is where the agent looks for it, and its group is the agent's", arguments: ["host", "playbook"])
  func socket(name: String) throws {
    let socket = try text("units/switchyard-\(name).socket")
    let agent = try AgentFile.load(path: Self.root + "units/switchyard-agent.agent.yml")
    #expect(socket.contains("\nListenStream=/run/switchyard/\(name).sock\n"))
    #expect(socket.contains("\nSocketGroup=\(agent.user)\n"))
    #expect(socket.contains("\nSocketMode=0660\n"))
  }

  @Test("The configuration in the manual is good")
  func manual() throws {
    let manual = try text("docs/agent.md")
    let start = try #require(manual.firstRange(of: "```yaml\nlisten:"))
    let rest = manual[start.lowerBound...].dropFirst("```yaml\n".count)
    let end = try #require(rest.firstRange(of: "```"))
    let configuration = try ConfigurationFile.parse(
      Array(rest[..<end.lowerBound].utf8), name: "manual", readsRevocations: true)
    #expect(configuration.commands.count == 2)
  }
}
