import MarkedYAML

extension Shape where Value == Bool {
  /// `true` or `false`, without quotes.
  static let flag = Shape(schema: .object(["type": .text("boolean")])) { node, diagnostics in
    if case .scalar(let text, let isPlain) = node.content {
      if isPlain, text == "true" { return true }
      if isPlain, text == "false" { return false }
      switch text.lowercased() {
      case "yes", "on", "y", "true":
        diagnostics.report(
          node.place, "\(quoted(text)) is no truth value", "write true\(isPlain ? "" : " without quotes")")
        return nil
      case "no", "off", "n", "false":
        diagnostics.report(
          node.place, "\(quoted(text)) is no truth value", "write false\(isPlain ? "" : " without quotes")")
        return nil
      default: break
      }
    }
    diagnostics.report(node.place, "\(node.found) is no truth value", "write true or false")
    return nil
  }
}

extension Shape where Value == Int {
  /// A whole number in a range, without quotes.
  static func integer(_ what: String, _ range: ClosedRange<Int>) -> Shape {
    let schema = JSONValue.object([
      "type": .text("integer"), "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound),
    ])
    return Shape(schema: schema) { node, diagnostics in
      let bounds = "write a whole number from \(range.lowerBound) to \(range.upperBound)"
      guard case .scalar(let text, let isPlain) = node.content, let number = wholeNumber(text) else {
        diagnostics.report(node.place, "\(what) is \(node.found), no whole number", bounds)
        return nil
      }
      guard isPlain else {
        diagnostics.report(
          node.place, "\(what) is the text \(quoted(text)), no number", "write \(number) without quotes")
        return nil
      }
      guard range.contains(number) else {
        diagnostics.report(node.place, "\(what) is \(number)", bounds)
        return nil
      }
      return number
    }
  }

  /// A port number.
  static func port(_ what: String) -> Shape { integer(what, 1...65_535) }
}

extension Shape where Value == String {
  /// One line of text, as it is written; quotes are needed only where YAML needs them.
  static func text(
    _ what: String, upTo length: Int, pattern: String? = nil,
    check: (@Sendable (String) -> Complaint?)? = nil
  ) -> Shape {
    var schema = JSONValue.object([
      "type": .text("string"), "minLength": .number(1), "maxLength": .number(length),
    ])
    if let pattern { schema = schema.adding(["pattern": .text(pattern)]) }
    return Shape(schema: schema) { node, diagnostics in
      guard case .scalar(let text, _) = node.content, !node.isNull else {
        diagnostics.report(
          node.place, "\(what) must be text, not \(node.found)", "write it as one word or in quotes")
        return nil
      }
      if let complaint = generalComplaint(text, what, upTo: length) ?? check?(text) {
        diagnostics.report(node.place, complaint.what, complaint.instead)
        return nil
      }
      return text
    }
  }

  private static func generalComplaint(_ text: String, _ what: String, upTo length: Int) -> Complaint? {
    if text.isEmpty { return Complaint("\(what) is empty", "write some text") }
    if text.utf8.count > length {
      return Complaint("\(what) is longer than \(length) bytes", "shorten it")
    }
    if text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }) {
      return Complaint(
        "\(what) holds a line break or control character: \(quoted(text))", "write it in one line")
    }
    return nil
  }
}

/// What is wrong with a text and what would be right.
struct Complaint: Sendable {
  let what: String
  let instead: String

  init(_ what: String, _ instead: String) {
    self.what = what
    self.instead = instead
  }
}

extension Shape where Value: RawRepresentable & CaseIterable & Sendable, Value.RawValue == String {
  /// One of a few words.
  static func word(_ what: String) -> Shape {
    let words = Value.allCases.map(\.rawValue)
    let schema = JSONValue.object(["type": .text("string"), "enum": .list(words.map(JSONValue.text))])
    return Shape(schema: schema) { node, diagnostics in
      if let text = node.text, let value = Value(rawValue: text) { return value }
      diagnostics.report(
        node.place, "\(what) is \(node.found)", proposal(for: node.text ?? "", of: words))
      return nil
    }
  }
}

/// Decimal digits with an optional sign, no leading zeros (they would be octal to some readers); nil for anything else.
func wholeNumber(_ text: String) -> Int? {
  let digits = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : Substring(text)
  guard !digits.isEmpty, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
    digits == "0" || !digits.hasPrefix("0")
  else { return nil }
  return Int(text)
}

/// Whether text has bytes, the first of `first`, the rest of `rest`; both say what else than letters and digits may stand.
func consists(_ text: String, first: String, rest: String) -> Bool {
  func allowed(_ byte: UInt8, _ others: String) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"):
      true
    default: others.utf8.contains(byte)
    }
  }
  guard let head = text.utf8.first else { return false }
  return allowed(head, first) && text.utf8.dropFirst().allSatisfy { allowed($0, rest) }
}
