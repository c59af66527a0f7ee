import CoreFoundation
import FoundationEssentials
import RolloutModel
import Testing

@testable import Commands

@Suite("The shipped agent")
struct ShippedAgentTests {
  @Test("What the program has of the agent file and its unit is what stands in units/")
  func isTheFiles() throws {
    let units = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/units"
    #expect(
      try String(contentsOfFile: "\(units)/switchyard-agent.agent.yml", encoding: .utf8) == ShippedAgent.file)
    #expect(
      try String(contentsOfFile: "\(units)/switchyard-agent.service", encoding: .utf8) == ShippedAgent.unit)
  }

  @Test("It is a whole agent file with its unit")
  func isWhole() throws {
    let definition = try ShippedAgent.definition()
    #expect(definition.name.text == "switchyard-agent")
    #expect(definition.unitTemplate == ShippedAgent.unit)
    #expect(definition.rpc == nil)
  }
}
