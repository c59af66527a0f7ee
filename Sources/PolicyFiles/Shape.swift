import MarkedYAML

/// What a value in a file may be: how it is read, and how a JSON Schema says the same.
struct Shape<Value>: Sendable {
  /// The schema of the value.
  let schema: JSONValue
  /// The value; nil where a problem was reported.
  let read: @Sendable (MarkedNode, Diagnostics) -> Value?

  init(schema: JSONValue, read: @escaping @Sendable (MarkedNode, Diagnostics) -> Value?) {
    self.schema = schema
    self.read = read
  }

  /// The same in a file, another value in the program; nil where a problem was reported.
  func map<Other>(_ transform: @escaping @Sendable (Value, MarkedNode, Diagnostics) -> Other?) -> Shape<Other>
  {
    Shape<Other>(schema: schema) { node, diagnostics in
      read(node, diagnostics).flatMap { transform($0, node, diagnostics) }
    }
  }

  /// A list of such values. The problems of all elements are reported.
  static func list<Element>(of element: Shape<Element>, _ what: String, count: ClosedRange<Int>) -> Shape
  where Value == [Element] {
    let schema = JSONValue.object([
      "type": .text("array"), "items": element.schema, "minItems": .number(count.lowerBound),
      "maxItems": .number(count.upperBound),
    ])
    return Shape(schema: schema) { node, diagnostics in
      guard let elements = node.elements else {
        diagnostics.report(
          node.place, "\(what) must be a list, not \(node.found)", "write [A, B] or lines that begin with -")
        return nil
      }
      guard count.contains(elements.count) else {
        diagnostics.report(
          node.place, "\(what) has \(elements.count) entries",
          "write \(count.lowerBound) to \(count.upperBound)")
        return nil
      }
      let values = elements.map { element.read($0, diagnostics) }
      let good = values.compactMap(\.self)
      return good.count == values.count ? good : nil
    }
  }

  /// A mapping with these fields; `make` reads every field before it gives up, so that all problems are reported.
  static func record(
    _ what: String, _ fields: [FieldDescription],
    make: @escaping @Sendable (RecordReader) -> Value?
  ) -> Shape {
    Shape(schema: RecordReader.schema(fields)) { node, diagnostics in
      RecordReader(node, what: what, fields: fields, diagnostics: diagnostics).flatMap(make)
    }
  }
}

/// One key of a mapping.
struct Field<Value: Sendable>: Sendable {
  let description: FieldDescription
  let shape: Shape<Value>
  /// What is taken where the key is absent; nil where it must be there.
  let fallback: Value?

  /// A key that must be there.
  init(_ key: String, _ about: String, _ shape: Shape<Value>) {
    self.init(key, about, shape, fallback: nil, written: nil)
  }

  /// A key with a default that stands in the schema.
  init(_ key: String, _ about: String, _ shape: Shape<Value>, default fallback: Value) where Value: Written {
    self.init(key, about, shape, fallback: fallback, written: fallback.written)
  }

  /// A key with a default that the schema does not show, as its parts have defaults of their own.
  init(_ key: String, _ about: String, _ shape: Shape<Value>, otherwise fallback: Value) {
    self.init(key, about, shape, fallback: fallback, written: nil)
  }

  /// A key that may be absent.
  static func optional<Wrapped>(_ key: String, _ about: String, _ shape: Shape<Wrapped>) -> Field
  where Value == Wrapped? {
    Field(key, about, shape.map { value, _, _ in .some(value) }, otherwise: nil)
  }

  private init(_ key: String, _ about: String, _ shape: Shape<Value>, fallback: Value?, written: JSONValue?) {
    self.shape = shape
    self.fallback = fallback
    description = FieldDescription(
      key: key, about: about, schema: shape.schema, written: written, isRequired: fallback == nil)
  }
}

/// A key of a mapping without its type: what the schema and the check for unknown keys need.
struct FieldDescription: Sendable {
  let key: String
  let about: String
  let schema: JSONValue
  /// The default as a file would write it.
  let written: JSONValue?
  let isRequired: Bool
}

/// A value that a schema can show as a default.
protocol Written {
  /// As a file would write it.
  var written: JSONValue { get }
}
