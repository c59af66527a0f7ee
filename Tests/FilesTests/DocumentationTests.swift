import FoundationEssentials
import MarkedYAML
import RolloutModel
import Testing

@testable import PolicyFiles

@Suite("The documentation of files")
struct DocumentationTests {
  private static let playbooks = PlaybookPaths(folder: "", mustExist: false)
  private struct Property: Sendable {
    let key: String
    let fallback: String?
  }

  /// The keys of a mapping and of those in it, with the defaults that the schema shows.
  private static func properties(of schema: JSONValue) -> [Property] {
    guard case .object(let members) = schema else { return [] }
    return members.flatMap { member -> [Property] in
      if member.key == "items" { return properties(of: member.value) }
      guard member.key == "properties", case .object(let fields) = member.value else { return [] }
      return fields.flatMap { field -> [Property] in
        guard case .object(let parts) = field.value else { return [] }
        let fallback = parts.first { $0.key == "default" }.map { part in
          if case .text(let text) = part.value { text } else { part.value.rendered() }
        }
        return [Property(key: field.key, fallback: fallback)] + properties(of: field.value)
      }
    }
  }

  private static func check(_ document: String, _ schema: JSONValue) throws {
    let data = try Data(contentsOf: URL(filePath: repositoryRoot + "docs/" + document))
    let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
    let properties = properties(of: schema)
    #expect(properties.count > 10)
    for property in properties {
      let about = lines.filter { $0.contains("`\(property.key)`") || $0.contains("`\(property.key):") }
      #expect(!about.isEmpty, "docs/\(document) does not name \(property.key)")
      if let fallback = property.fallback {
        #expect(
          about.contains { $0.contains("`\(fallback)`") }, "docs/\(document): \(property.key) is \(fallback)")
      }
    }
  }

  @Test("every key of a policy, and its default, stands in the reference")
  func policyReference() throws {
    try Self.check("policy-reference.md", Shape<Policy>.policy(fleet: nil, Self.playbooks).schema)
  }

  @Test("every key of an agent file, and its default, stands in its document")
  func agentFile() throws {
    try Self.check("agent-file.md", Shape<AgentDefinition>.agent(Self.playbooks).schema)
  }
}
