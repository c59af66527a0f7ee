/// A YAML value that knows where it stands.
public struct MarkedNode: Hashable, Sendable {
  /// What the value is.
  public enum Content: Hashable, Sendable {
    /// Text; `isPlain` where it was written without quotes, so that `5` may be a number.
    case scalar(String, isPlain: Bool)
    /// A list.
    case sequence([MarkedNode])
    /// A mapping, in the file's order; keys are unique.
    case mapping([MarkedEntry])
  }

  /// Where it begins.
  public var place: Place
  /// What it is.
  public var content: Content
  /// Its explicit tag (`!vault`); nil for none and for YAML's own `!!str`, `!!seq`, `!!map`.
  public var tag: String?

  /// A value from its parts.
  public init(place: Place, content: Content, tag: String? = nil) {
    self.place = place
    self.content = content
    self.tag = tag
  }

  /// Whether nothing was written: empty, `~` or `null`, without quotes.
  public var isNull: Bool {
    guard case .scalar(let text, isPlain: true) = content else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(text)
  }

  /// The text of a scalar that is not null; nil for everything else.
  public var text: String? {
    guard case .scalar(let text, _) = content, !isNull else { return nil }
    return text
  }

  /// The pairs of a mapping; nil for everything else.
  public var entries: [MarkedEntry]? {
    if case .mapping(let entries) = content { entries } else { nil }
  }

  /// The values of a list; nil for everything else.
  public var elements: [MarkedNode]? {
    if case .sequence(let elements) = content { elements } else { nil }
  }

  /// The value of a key; nil where it is no mapping or has no such key.
  public subscript(key: String) -> MarkedNode? {
    entries?.first { $0.key == key }?.value
  }

  /// How an error names what was found: `the list`, `"7001"`, `nothing`.
  public var found: String {
    switch content {
    case .sequence: "a list"
    case .mapping: "a mapping"
    case .scalar(let text, _): isNull ? "nothing" : quoted(text)
    }
  }
}

/// One pair of a mapping.
public struct MarkedEntry: Hashable, Sendable {
  /// The key's text.
  public var key: String
  /// Where the key begins.
  public var keyPlace: Place
  /// The value.
  public var value: MarkedNode

  /// A pair from its parts.
  public init(key: String, keyPlace: Place, value: MarkedNode) {
    self.key = key
    self.keyPlace = keyPlace
    self.value = value
  }
}
