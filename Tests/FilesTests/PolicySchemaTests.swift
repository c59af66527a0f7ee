import BadFiles
import FoundationEssentials
import MarkedYAML
import PolicyFiles
import Testing

/// The parts of JSON Schema that the policy's schema uses; any other keyword is a failure, so that nothing is skipped.
private struct SchemaCheck {
  private let schema: [String: Any]

  init(_ text: String) throws {
    schema = try #require(JSONTree.parse(text) as? [String: Any])
  }

  func accepts(_ node: MarkedNode) throws -> Bool { try accepts(node, schema) }

  private func accepts(_ node: MarkedNode, _ schema: [String: Any]) throws -> Bool {
    for (keyword, value) in schema where try !holds(keyword, value, node, schema) { return false }
    return true
  }

  private func holds(_ keyword: String, _ value: Any, _ node: MarkedNode, _ schema: [String: Any]) throws
    -> Bool
  {
    switch keyword {
    case "$schema", "title", "description", "default": return true
    case "type": return Self.type(of: node) == value as? String
    case "enum": return (value as? [Any])?.contains { $0 as? String == node.text } ?? false
    case "oneOf":
      return try (value as? [Any] ?? []).filter { try accepts(node, #require($0 as? [String: Any])) }.count
        == 1
    case "minimum": return try node.text.flatMap(Double.init) ?? 0 >= #require(value as? Double)
    case "maximum": return try node.text.flatMap(Double.init) ?? 0 <= #require(value as? Double)
    case "minLength": return try Double(node.text?.count ?? 0) >= #require(value as? Double)
    case "maxLength": return try Double(node.text?.count ?? 0) <= #require(value as? Double)
    case "pattern": return try (node.text ?? "").firstMatch(of: Regex(#require(value as? String))) != nil
    case "minItems": return try Double(node.elements?.count ?? 0) >= #require(value as? Double)
    case "maxItems": return try Double(node.elements?.count ?? 0) <= #require(value as? Double)
    case "items":
      let items = try #require(value as? [String: Any])
      return try (node.elements ?? []).allSatisfy { try accepts($0, items) }
    case "required": return (value as? [Any] ?? []).allSatisfy { node[$0 as? String ?? ""] != nil }
    case "properties":
      let properties = try #require(value as? [String: Any])
      return try (node.entries ?? []).allSatisfy { entry in
        try (properties[entry.key] as? [String: Any]).map { try accepts(entry.value, $0) } ?? true
      }
    case "additionalProperties":
      let properties = try #require(schema["properties"] as? [String: Any])
      return (node.entries ?? []).allSatisfy { properties[$0.key] != nil }
    default:
      Issue.record("the schema uses \(keyword)")
      return false
    }
  }

  /// The type that a YAML reader gives a value, as far as policies have it.
  private static func type(of node: MarkedNode) -> String {
    switch node.content {
    case .mapping: return "object"
    case .sequence: return "array"
    case .scalar(let text, let isPlain):
      if !isPlain { return "string" }
      if node.isNull { return "null" }
      if ["true", "false"].contains(text) { return "boolean" }
      if Int(text) != nil { return "integer" }
      return Double(text) != nil || text == ".nan" || text == ".inf" ? "number" : "string"
    }
  }
}

/// JSON as dictionaries, arrays, strings, doubles and truth values.
private enum JSONTree {
  private struct Value: Decodable {
    let any: Any

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      // Each kind is tried in turn: a value of another kind is no error.
      if let object = try? container.decode([String: Value].self) {
        any = object.mapValues(\.any)
      } else if let list = try? container.decode([Value].self) {
        any = list.map(\.any)
      } else if let flag = try? container.decode(Bool.self) {
        any = flag
      } else if let number = try? container.decode(Double.self) {
        any = number
      } else {
        any = try container.decode(String.self)
      }
    }
  }

  static func parse(_ text: String) throws -> Any {
    try JSONDecoder().decode(Value.self, from: Data(text.utf8)).any
  }
}

@Suite("The schema of policies")
struct PolicySchemaTests {
  @Test(
    "it accepts the ready policies",
    arguments: ["canary", "cautious", "fast-hotfix", "all-at-once-lab", "by-percent"])
  func acceptsReadyPolicies(name: String) throws {
    let path = repositoryRoot + "policies/\(name).yml"
    let node = try MarkedYAML.parse(BoundedFile.read(path: path), file: path)
    #expect(try SchemaCheck(PolicySchema.json).accepts(node))
  }

  @Test("it accepts whatever form the reader accepts")
  func acceptsFullPolicy() throws {
    let node = try MarkedYAML.parse(Array(PolicyFileTests.full.utf8), file: "p.yml")
    #expect(try SchemaCheck(PolicySchema.json).accepts(node))
  }

  /// What the reader refuses and a schema can't: rules between fields and between elements, the range of durations,
  /// how a number is written.
  static let beyondSchema: Set<String> = [
    "shrinking shares", "shrinking counts", "a wave after the whole fleet", "last wave short",
    "last wave short, partial false", "a wave's name twice", "soak before the first sample",
    "timeout after deadline",
    "gate that can't pass", "duration of a thousand years", "running beyond installed",
    "running beyond installed by default", "confirm before a gate can pass", "successes octal",
    "no hook",
  ]

  @Test(
    "it refuses what the reader refuses, where a schema can say so",
    arguments: BadPolicies.shape + BadPolicies.waves + BadPolicies.times + BadPolicies.amounts)
  func refusesBadPolicies(bad: BadFile) throws {
    let check = try SchemaCheck(PolicySchema.json)
    // Text that is no YAML, duplicate keys for instance, never comes to a schema.
    guard let node = try? MarkedYAML.parse(bad.bytes, file: "p.yml") else { return }
    #expect(try check.accepts(node) == Self.beyondSchema.contains(bad.name))
  }

  @Test("it shows the defaults")
  func showsDefaults() {
    for text in [
      "\"default\": \"10%\"", "\"default\": \"2m\"", "\"default\": \"rollback\"", "\"default\": 3",
    ] {
      #expect(PolicySchema.json.contains(text))
    }
  }
}
