import Agents
import CoreFoundation
import FoundationEssentials
import Glibc
import RolloutModel
import Testing

@testable import Commands

@Suite("The words and files of the agent verbs")
struct AgentWordsTests {
  @Test("Values are KEY=VALUE, each key once")
  func values() throws {
    #expect(try AgentExecVerb.values(["a=b", "c=", "d=e=f"]) == ["a": "b", "c": "", "d": "e=f"])
    for words in [["a"], ["=b"], ["a=1", "a=2"]] {
      #expect(throws: CommandError.self) { try AgentExecVerb.values(words) }
    }
  }

  @Test("A token's file is new and its owner's alone; what it holds is in no message")
  func tokenFiles() throws {
    let path = "/tmp/switchyard-token-\(UUID().uuidString)"
    defer { unlink(path) }
    let token = AgentToken()
    try TokenFile.write(token, to: path)
    #expect(try TokenFile.read(path).text == token.text)
    #expect(throws: CommandError.self) { try TokenFile.write(AgentToken(), to: path) }
    #expect(try TokenFile.read(path).text == token.text)
    chmod(path, 0o640)
    let open = #expect(throws: CommandError.self) { try TokenFile.read(path) }
    #expect(open?.description.contains("read by others") == true)
    chmod(path, 0o600)
    try "secret words".write(toFile: path, atomically: false, encoding: .utf8)
    let other = #expect(throws: CommandError.self) { try TokenFile.read(path) }
    #expect(other?.description.contains("secret") == false)
  }

  @Test(
    "A configuration has the registered ports and the token's digest, and the user's lines behind its own")
  func configuration() throws {
    var agent = try ShippedAgent.definition()
    agent.slots = SlotPorts(blue: 9001, green: 9002)
    let digest = try #require(AgentToken().digest)
    let text = AgentConfigurationText(controller: "desk", tokenDigest: digest, more: "commands: {}\n").text(
      agent, listen: "0.0.0.0")
    #expect(text.contains("tunnels: [9001, 9002]\n"))
    #expect(text.contains("token_sha256: \"\(digest.hex)\"\n"))
    #expect(text.contains("controllers: [\"desk\"]\n"))
    #expect(text.hasSuffix("commands: {}\n"))
  }

  @Test("The usual policy of an installation is one that any fleet can have", arguments: [1, 2, 100])
  func policy(fleet: Int) throws {
    #expect(try AgentInstallation.policy(nil, fleet: fleet).name.isEmpty == false)
  }
}
