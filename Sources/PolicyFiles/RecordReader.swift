import MarkedYAML

/// A mapping while its fields are read.
struct RecordReader {
  /// Where the mapping begins.
  var place: Place { node.place }
  /// Collects what is wrong.
  let diagnostics: Diagnostics
  private let node: MarkedNode
  private let what: String

  /// Nil, with the problem reported, where the node is no mapping. Unknown keys are reported, with the key that was
  /// probably meant.
  init?(_ node: MarkedNode, what: String, fields: [FieldDescription], diagnostics: Diagnostics) {
    guard let entries = node.entries else {
      diagnostics.report(
        node.place, "\(what) must be a mapping, not \(node.found)",
        "write \(alternatives(fields.filter(\.isRequired).map { $0.key + ": …" }.ifEmpty([fields.first?.key ?? ""])))"
      )
      return nil
    }
    let known = fields.map(\.key)
    let absent = known.filter { key in !entries.contains { $0.key == key } }
    for entry in entries where !known.contains(entry.key) {
      let near = diagnostics.isFull ? nil : nearest(to: entry.key, of: absent)
      let meant = near.map { "did you mean \($0)?" }
      diagnostics.report(
        entry.keyPlace, "\(what) has no key \(quoted(entry.key))",
        meant ?? "its keys are \(known.joined(separator: ", "))")
    }
    self.node = node
    self.what = what
    self.diagnostics = diagnostics
  }

  /// The field's value, or its default where the key is absent; nil where a problem was reported.
  func read<Value>(_ field: Field<Value>) -> Value? {
    let key = field.description.key
    guard let entry = entry(key) else {
      if let fallback = field.fallback { return fallback }
      diagnostics.report(
        place, "\(what) lacks the key \(quoted(key))", "add \(key): \(field.description.about)")
      return nil
    }
    guard !entry.value.isNull else {
      diagnostics.report(
        entry.keyPlace, "\(key) has no value",
        field.description.isRequired ? "write \(field.description.about)" : "give it one or remove the key")
      return nil
    }
    return field.shape.read(entry.value, diagnostics)
  }

  /// The place of a field's value; the mapping's where the key is absent.
  func place(of key: String) -> Place { entry(key)?.value.place ?? place }

  /// The pair with a key.
  func entry(_ key: String) -> MarkedEntry? { node.entries?.first { $0.key == key } }

  /// Reports a problem at a field's value.
  func report(_ key: String, _ what: String, _ instead: String) {
    diagnostics.report(place(of: key), what, instead)
  }

  /// The schema of a mapping with these fields and no others.
  static func schema(_ fields: [FieldDescription]) -> JSONValue {
    let properties = fields.map { field in
      let about = JSONValue.Member("description", .text(field.about))
      let fallback = field.written.map { [JSONValue.Member("default", $0)] } ?? []
      guard case .object(let own) = field.schema else { return JSONValue.Member(field.key, field.schema) }
      return JSONValue.Member(field.key, .object([about] + own + fallback))
    }
    let required = fields.filter(\.isRequired).map { JSONValue.text($0.key) }
    let schema = JSONValue.object([
      "type": .text("object"), "additionalProperties": .flag(false), "properties": .object(properties),
    ])
    return required.isEmpty ? schema : schema.adding(["required": .list(required)])
  }
}

extension Array {
  fileprivate func ifEmpty(_ other: [Element]) -> [Element] { isEmpty ? other : self }
}
