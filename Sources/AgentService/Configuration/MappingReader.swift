import MarkedYAML
import RolloutModel

/// A mapping of the configuration while its keys are read. What is wrong goes to the diagnostics, and the value is nil.
struct MappingReader {
  let node: MarkedNode
  let diagnostics: Diagnostics
  private let what: String

  /// Nil where the node is no mapping. Keys that are not among `keys` are reported, with the one that was probably meant.
  init?(_ node: MarkedNode, _ what: String, keys: [String], _ diagnostics: Diagnostics) {
    guard let entries = node.entries else {
      diagnostics.report(
        node.place, "\(what) must be a mapping, not \(node.found)",
        "write KEY: VALUE for \(alternatives(keys))")
      return nil
    }
    let absent = keys.filter { key in !entries.contains { $0.key == key } }
    for entry in entries where !keys.contains(entry.key) {
      let meant = nearest(to: entry.key, of: absent).map { "did you mean \($0)?" }
      diagnostics.report(
        entry.keyPlace, "\(what) has no key \(quoted(entry.key))",
        meant ?? "its keys are \(keys.joined(separator: ", "))")
    }
    self.node = node
    self.what = what
    self.diagnostics = diagnostics
  }

  /// The value of a key that may be absent; a key without a value is reported.
  func value(_ key: String) -> MarkedNode? {
    guard let entry = node.entries?.first(where: { $0.key == key }) else { return nil }
    guard !entry.value.isNull else {
      diagnostics.report(entry.keyPlace, "\(key) has no value", "give it one or remove the key")
      return nil
    }
    return entry.value
  }

  /// What `read` makes of a key's value, or the fallback where the key is absent.
  func value<Value>(_ key: String, otherwise fallback: Value, _ read: (MarkedNode) -> Value?) -> Value? {
    node[key] == nil ? fallback : value(key).flatMap(read)
  }

  /// The value of a key that must be there.
  func required(_ key: String, _ about: String) -> MarkedNode? {
    if node[key] == nil {
      diagnostics.report(node.place, "\(what) lacks the key \(quoted(key))", "add \(key): \(about)")
      return nil
    }
    return value(key)
  }

  /// One line of text.
  func text(_ node: MarkedNode, _ what: String, upTo length: Int) -> String? {
    guard let text = node.text, !text.isEmpty else {
      diagnostics.report(
        node.place, "\(what) must be text, not \(node.found)", "write it as one word or in quotes")
      return nil
    }
    guard text.utf8.count <= length else {
      diagnostics.report(node.place, "\(what) is longer than \(length) bytes", "shorten it")
      return nil
    }
    guard !text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }) else {
      diagnostics.report(
        node.place, "\(what) holds a line break or control character", "write it in one line")
      return nil
    }
    return text
  }

  /// The absolute path of a file; sockets' paths are shorter.
  func path(_ node: MarkedNode, _ what: String, upTo length: Int = 4095) -> String? {
    guard let text = text(node, what, upTo: length) else { return nil }
    guard text.hasPrefix("/") else {
      diagnostics.report(node.place, "\(what) is \(quoted(text))", "write an absolute path, as /etc/…")
      return nil
    }
    return text
  }

  /// A length of time within bounds.
  func span(_ node: MarkedNode, _ what: String, _ bounds: ClosedRange<Span>) -> Span? {
    guard let text = node.text, let span = Span(text), bounds.contains(span) else {
      diagnostics.report(
        node.place, "\(what) is \(node.found)",
        "write \(bounds.lowerBound) to \(bounds.upperBound), as 30s or 1m30s")
      return nil
    }
    return span
  }

  /// Bytes with their unit.
  func size(_ node: MarkedNode, _ what: String) -> Int64? {
    guard let text = node.text, let bytes = byteCount(text) else {
      diagnostics.report(node.place, "\(what) is \(node.found)", byteCountAdvice)
      return nil
    }
    return bytes
  }

  /// A list with so many entries, each read by `read`; all of them are read, so that all problems are told.
  func list<Value>(
    _ node: MarkedNode, _ what: String, _ count: ClosedRange<Int>, _ read: (MarkedNode) -> Value?
  ) -> [Value]? {
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
    let values = elements.map(read)
    let good = values.compactMap(\.self)
    return good.count == values.count ? good : nil
  }

  /// A port, written as a number.
  func port(_ node: MarkedNode, _ what: String) -> Int? {
    guard case .scalar(let text, isPlain: true) = node.content,
      text.utf8.allSatisfy({ (48...57).contains($0) }),
      let number = Int(text), (1...65_535).contains(number)
    else {
      diagnostics.report(
        node.place, "\(what) is \(node.found)", "write a whole number from 1 to 65535, without quotes")
      return nil
    }
    return number
  }
}
