/// Turns a text's events into marked nodes: expands aliases and merge keys within bounds, finds duplicate keys.
struct Composer {
  private let events: YAMLEvents
  private let keepTags: Bool
  private let diagnostics: Diagnostics
  private var anchors: [String: (node: MarkedNode, size: Int)] = [:]
  private var size = 0

  init(_ text: SourceText, keepTags: Bool, diagnostics: Diagnostics) throws(FileProblems) {
    events = try YAMLEvents(text, file: diagnostics.file)
    self.keepTags = keepTags
    self.diagnostics = diagnostics
  }

  /// The root of the one document; nil where there is none. What is wrong goes to the diagnostics; errors: what is no
  /// YAML, or too large to be read on.
  mutating func document() throws(FileProblems) -> MarkedNode? {
    var root: MarkedNode?
    while true {
      let event = try events.next()
      switch event.kind {
      case .streamStart, .documentEnd: continue
      case .documentStart where root == nil: root = try node(events.next(), depth: 1)
      case .documentStart:
        diagnostics.report(event.place, "a second document begins here", "write one document a file")
        return root
      default: return root
      }
    }
  }

  private mutating func node(_ event: YAMLEvent, depth: Int) throws(FileProblems) -> MarkedNode {
    guard depth <= MarkedYAML.deepest else {
      throw YAMLWording.tooDeep(file: diagnostics.file, place: event.place)
    }
    try grow(by: 1, at: event.place)
    let before = size
    let content: MarkedNode.Content
    let properties: YAMLEvent.Properties
    switch event.kind {
    case .scalar(let text, let isPlain, let written):
      (content, properties) = (.scalar(text, isPlain: isPlain), written)
    case .sequenceStart(let written):
      (content, properties) = (.sequence(try elements(depth: depth)), written)
    case .mappingStart(let written):
      (content, properties) = (.mapping(try entries(depth: depth)), written)
    case .alias(let name):
      return try expand(name, at: event.place)
    case .streamStart, .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd:
      throw FileProblems(
        file: diagnostics.file, place: event.place, what: "the file is not YAML",
        instead: "check its syntax")
    }
    let marked = MarkedNode(
      place: event.place, content: content, tag: meaningful(properties.tag, at: event.place))
    if let anchor = properties.anchor { anchors[anchor] = (marked, size - before + 1) }
    return marked
  }

  private mutating func elements(depth: Int) throws(FileProblems) -> [MarkedNode] {
    var elements: [MarkedNode] = []
    while true {
      let event = try events.next()
      if case .sequenceEnd = event.kind { return elements }
      elements.append(try node(event, depth: depth + 1))
    }
  }

  private mutating func entries(depth: Int) throws(FileProblems) -> [MarkedEntry] {
    var entries: [MarkedEntry] = []
    var merged: [MarkedEntry] = []
    var places: [String: Place] = [:]
    while true {
      let event = try events.next()
      if case .mappingEnd = event.kind { break }
      let key = try key(event, depth: depth)
      let value = try node(events.next(), depth: depth + 1)
      guard let key else { continue }
      if key.isMerge {
        merged += mergedEntries(value)
      } else if let first = places[key.text] {
        diagnostics.report(
          event.place, "the key \(quoted(key.text)) stands in line \(first.line) already",
          "keep one of the two")
      } else {
        places[key.text] = event.place
        entries.append(MarkedEntry(key: key.text, keyPlace: event.place, value: value))
      }
    }
    for entry in merged where places[entry.key] == nil {
      try grow(by: 1, at: entry.keyPlace)
      places[entry.key] = entry.keyPlace
      entries.append(entry)
    }
    return entries
  }

  /// What `<<` merges: of several mappings the earlier one counts.
  private func mergedEntries(_ value: MarkedNode) -> [MarkedEntry] {
    switch value.content {
    case .mapping(let entries): return entries
    case .sequence(let mappings) where mappings.allSatisfy({ $0.entries != nil }):
      return mappings.flatMap { $0.entries ?? [] }
    default:
      diagnostics.report(value.place, "<< merges \(value.found)", "give it the alias of a mapping")
      return []
    }
  }

  /// A key's text, and whether it is `<<`; nil where it is none.
  private mutating func key(
    _ event: YAMLEvent, depth: Int
  ) throws(FileProblems) -> (text: String, isMerge: Bool)? {
    switch event.kind {
    case .scalar(let text, let isPlain, _):
      guard !text.isEmpty, text != "~" else {
        diagnostics.report(event.place, "a key without text", "write KEY: VALUE")
        return nil
      }
      return (text, isPlain && text == "<<")
    case .alias:
      diagnostics.report(event.place, "an alias as a key", "write the key itself")
    default:
      _ = try node(event, depth: depth + 1)
      diagnostics.report(event.place, "a list or mapping as a key", "write a word as the key")
    }
    return nil
  }

  private mutating func expand(_ name: String, at place: Place) throws(FileProblems) -> MarkedNode {
    guard let anchor = anchors[name] else {
      let known = diagnostics.isFull ? [] : anchors.keys.sorted()
      diagnostics.report(
        place, "no anchor \(quoted("&" + name)) stands before this alias",
        known.isEmpty
          ? "quote the text where a literal * is meant" : proposal(for: name, of: known, as: "use"))
      return MarkedNode(place: place, content: .scalar("", isPlain: true))
    }
    try grow(by: anchor.size, at: place)
    var node = anchor.node
    node.place = place
    return node
  }

  private mutating func grow(by count: Int, at place: Place) throws(FileProblems) {
    size += count
    guard size <= MarkedYAML.mostNodes else {
      throw FileProblems(
        file: diagnostics.file, place: place,
        what: "the file has more than \(MarkedYAML.mostNodes) values, aliases expanded",
        instead: "write less, use fewer aliases")
    }
  }

  /// A tag that says more than what the value is anyway.
  private func meaningful(_ tag: String?, at place: Place) -> String? {
    guard let tag, tag != "!", !["str", "seq", "map"].contains(where: { tag == "tag:yaml.org,2002:" + $0 })
    else {
      return nil
    }
    if !keepTags { diagnostics.report(place, "the tag \(quoted(tag))", "write the value without a tag") }
    return tag
  }
}
