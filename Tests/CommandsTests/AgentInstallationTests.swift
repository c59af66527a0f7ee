import ArgumentParser
import Certificates
import MarkedYAML
import RolloutModel
import Testing

@testable import Commands

@Suite("What an installation brings")
struct AgentInstallationTests {
  private func text(_ more: String, listen: String = "0.0.0.0") throws -> String {
    let digest = try #require(Digest(String(repeating: "a", count: 64)))
    return AgentConfigurationText(controller: "desk", tokenDigest: digest, more: more).text(
      try ShippedAgent.definition(), listen: listen)
  }

  /// What the agent would read of it.
  private func listen(_ text: String) throws -> String? {
    try MarkedYAML.parse(Array(text.utf8), file: "agent.yml")["listen"]?.text
  }

  @Test("An agent listens where its host's address is reached, unless the user's own lines say where")
  func listens() throws {
    for more in ["", "# nothing\n", "commands:\n  listen: {run: [/bin/true]}\n"] {
      #expect(try listen(text(more)) == "0.0.0.0")
      #expect(try listen(text(more, listen: "::")) == "::")
    }
    #expect(try listen(text("listen: 192.0.2.7\n", listen: "::")) == "192.0.2.7")
    #expect(try listen(text("commands: {}\n\"listen\": \"::\"\n")) == "::")
  }

  @Test("Lines that can't be read are brought as they are, for the agent's own check to judge")
  func bringsNonsense() throws {
    #expect(try text("a: [\n").hasSuffix("\na: [\n"))
  }

  @Test(
    "Only a host that is reached by IPv6 has its agent listen there",
    arguments: [
      ("2001:db8::7", "::"), ("fe80::1%eth0", "::"), ("::1", "::"), ("192.0.2.7", "0.0.0.0"),
      ("web-1.example", "0.0.0.0"),
    ])
  func listensByAddress(address: String, listen: String) {
    #expect(AgentConfigurationText.listen(at: address) == listen)
  }

  @Test("Hosts of both kinds are prepared with what is theirs, and none is left out")
  func isByListen() {
    let hosts = [("a", "192.0.2.1"), ("b", "2001:db8::2"), ("c", "192.0.2.3")].map {
      Host(name: $0.0, address: $0.1)
    }
    let groups = AgentInstallation.byListen(hosts)
    #expect(groups.map(\.listen) == ["0.0.0.0", "::"])
    #expect(groups.map { $0.hosts.map(\.name) } == [["a", "c"], ["b"]])
  }

  @Test("A folder too long for the rollout's socket is refused before anything else is looked at")
  func checksRoomFirst() async throws {
    let options = try AgentOptions.parse(["--state", "/tmp/" + String(repeating: "x", count: 120)])
    let installation = AgentInstallation(
      fleet: try AgentFleet(options),
      release: Release(version: try #require(Version("1.0.0")), archives: []),
      policy: try AgentInstallation.policy(nil, fleet: 1), prepare: nil,
      configuration: AgentConfigurationText(
        controller: nil, tokenDigest: try #require(Digest(String(repeating: "a", count: 64))), more: ""),
      authority: options.authority, isQuiet: true)
    let error = await #expect(throws: CommandError.self) {
      try await installation.check([Host(name: "h1", address: "192.0.2.1")])
    }
    #expect(error?.code == CommandError.invalidInput && error?.description.contains("shorter path") == true)
  }

  @Test("A host whose address fits in no certificate is refused before one is issued to it")
  func needsAddress() throws {
    let request = try AgentInstallation.request(Host(name: "web-1", address: "2001:db8::7"))
    #expect(request.alternativeNames.map(\.description).contains("ip:2001:db8::7"))
    for (name, address) in [("web-1", "a_b"), ("web-1", "fe80::1%eth0"), ("a_b", "192.0.2.7")] {
      let error = #expect(throws: CommandError.self) {
        try AgentInstallation.request(Host(name: name, address: address))
      }
      #expect(error?.code == CommandError.invalidInput)
    }
  }

  @Test("A failure says what had been done before it")
  func tellsProgress() {
    let refused = CommandError.invalid("no room")
    #expect(InstallationProgress(issued: []).failure(refused).code == CommandError.invalidInput)
    #expect(InstallationProgress(issued: []).failure(refused).description == "no room")
    let issued = InstallationProgress(issued: ["h1"]).failure(refused)
    #expect(issued.code == CommandError.toolError)
    #expect(issued.description == "no room\ncertificates were issued to h1; no host was changed")
    var progress = InstallationProgress(issued: ["h1"])
    progress.isBegun = true
    #expect(progress.failure(refused).code == CommandError.toolError)
    #expect(progress.failure(refused).description == "no room")
    progress.installed = [Host(name: "h1", address: "192.0.2.1"), Host(name: "h2", address: "192.0.2.2")]
    let later = progress.failure(CommandError(code: CommandError.rolledBack, description: "halted"))
    #expect(later.code == CommandError.rolledBack)
    #expect(later.description == "halted\nagents were installed on h1, h2, and are live")
  }
}
