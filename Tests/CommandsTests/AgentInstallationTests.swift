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
}
