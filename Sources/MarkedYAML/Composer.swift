import Yams

/// Turns Yams's nodes into marked ones: expands aliases and merge keys within bounds, finds duplicate keys.
struct Composer {
  private let alias: Unicode.Scalar
  private let renamed: [Place: Unicode.Scalar]
  private let keepTags: Bool
  private let diagnostics: Diagnostics
  private var anchors: [String: (node: MarkedNode, size: Int)] = [:]
  private var size = 0
  private var isTooLarge = false

  init(alias: Unicode.Scalar, renamed: [Place: Unicode.Scalar], keepTags: Bool, diagnostics: Diagnostics) {
    self.alias = alias
    self.renamed = renamed
    self.keepTags = keepTags
    self.diagnostics = diagnostics
  }

  /// The marked node; problems go to the diagnostics, and what they concern is left out.
  mutating func compose(_ node: Node, depth: Int = 1) -> MarkedNode {
    let place = Self.place(node)
    let nothing = MarkedNode(place: place, content: .scalar("", isPlain: true))
    guard depth <= MarkedYAML.deepest else {
      diagnostics.report(
        place, "the file is nested deeper than \(MarkedYAML.deepest) levels", "flatten it")
      return nothing
    }
    guard grow(by: 1, at: place) else { return nothing }
    let before = size
    let content: MarkedNode.Content
    switch node {
    case .scalar(let scalar):
      if let name = aliasName(scalar) { return expand(name, at: place) ?? nothing }
      content = .scalar(
        restored(scalar.string), isPlain: scalar.style == .plain && scalar.tag.rawValue.isEmpty)
    case .sequence(let sequence):
      content = .sequence(sequence.map { compose($0, depth: depth + 1) })
    case .mapping(let mapping):
      content = .mapping(entries(of: mapping, depth: depth))
    case .alias:
      return nothing
    }
    let marked = MarkedNode(place: place, content: content, tag: tag(of: node, at: place))
    if let anchor = node.anchor?.rawValue { anchors[anchor] = (marked, size - before + 1) }
    return marked
  }

  private mutating func entries(of mapping: Node.Mapping, depth: Int) -> [MarkedEntry] {
    var entries: [MarkedEntry] = []
    var merged: [MarkedEntry] = []
    var places: [String: Place] = [:]
    for (keyNode, valueNode) in mapping {
      let value = compose(valueNode, depth: depth + 1)
      guard let key = keyText(keyNode) else { continue }
      let place = Self.place(keyNode)
      if key == "<<", keyNode.scalar?.style == .plain {
        merged += mergedEntries(value)
        continue
      }
      if let first = places[key] {
        diagnostics.report(
          place, "the key \(quoted(key)) stands in line \(first.line) already", "keep one of the two")
        continue
      }
      places[key] = place
      entries.append(MarkedEntry(key: key, keyPlace: place, value: value))
    }
    for entry in merged where places[entry.key] == nil {
      guard grow(by: 1, at: entry.keyPlace) else { break }
      places[entry.key] = entry.keyPlace
      entries.append(entry)
    }
    return entries
  }

  /// What `<<` merges: of several mappings the earlier one counts.
  private mutating func mergedEntries(_ value: MarkedNode) -> [MarkedEntry] {
    switch value.content {
    case .mapping(let entries): return entries
    case .sequence(let mappings) where mappings.allSatisfy({ $0.entries != nil }):
      return mappings.flatMap { $0.entries ?? [] }
    default:
      diagnostics.report(value.place, "<< merges \(value.found)", "give it the alias of a mapping")
      return []
    }
  }

  private func keyText(_ node: Node) -> String? {
    let place = Self.place(node)
    guard case .scalar(let scalar) = node else {
      diagnostics.report(place, "a list or mapping as a key", "write a word as the key")
      return nil
    }
    if aliasName(scalar) != nil {
      diagnostics.report(place, "an alias as a key", "write the key itself")
      return nil
    }
    var text = restored(scalar.string)
    if let first = renamed[place] {
      text = SourceText.string([first] + text.unicodeScalars.dropFirst())
    }
    guard !text.isEmpty, text != "~" else {
      diagnostics.report(place, "a key without text", "write KEY: VALUE")
      return nil
    }
    return text
  }

  private mutating func expand(_ name: String, at place: Place) -> MarkedNode? {
    guard let anchor = anchors[name] else {
      let known = diagnostics.isFull ? [] : anchors.keys.sorted()
      diagnostics.report(
        place, "no anchor \(quoted("&" + name)) stands before this alias",
        known.isEmpty
          ? "quote the text where a literal * is meant" : proposal(for: name, of: known, as: "use"))
      return nil
    }
    guard grow(by: anchor.size, at: place) else { return nil }
    var node = anchor.node
    node.place = place
    return node
  }

  private mutating func grow(by count: Int, at place: Place) -> Bool {
    size += count
    guard size > MarkedYAML.mostNodes else { return true }
    if !isTooLarge {
      isTooLarge = true
      diagnostics.report(
        place, "the file has more than \(MarkedYAML.mostNodes) values, aliases expanded",
        "write less, use fewer aliases")
    }
    return false
  }

  private func tag(of node: Node, at place: Place) -> String? {
    let tag =
      switch node {
      case .scalar(let scalar): scalar.tag.rawValue
      case .sequence(let sequence): sequence.tag.rawValue
      case .mapping(let mapping): mapping.tag.rawValue
      case .alias: ""
      }
    guard !["", "!"].contains(tag),
      !["str", "seq", "map"].contains(where: { tag == "tag:yaml.org,2002:" + $0 })
    else {
      return nil
    }
    if !keepTags { diagnostics.report(place, "the tag \(quoted(tag))", "write the value without a tag") }
    return tag
  }

  private func aliasName(_ scalar: Node.Scalar) -> String? {
    guard scalar.style == .plain, scalar.string.unicodeScalars.first == alias else { return nil }
    return restored(SourceText.string(scalar.string.unicodeScalars.dropFirst()))
  }

  private func restored(_ text: String) -> String {
    guard text.unicodeScalars.contains(alias) else { return text }
    return SourceText.string(text.unicodeScalars.map { $0 == alias ? "*" : $0 })
  }

  private static func place(_ node: Node) -> Place {
    node.mark.map { Place(line: $0.line, column: $0.column) } ?? .start
  }
}
