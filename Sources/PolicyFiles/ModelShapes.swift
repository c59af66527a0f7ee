import MarkedYAML
import RolloutModel

extension Shape where Value == Span {
  /// A duration in a range.
  static func span(_ what: String, _ range: ClosedRange<Span>) -> Shape {
    let notZero = range.lowerBound > .zero ? "(?=.*[1-9])" : ""
    let parts = ["d", "h", "m", "s", "ms"].map { "([0-9]{1,12}\($0))?" }.joined()
    let schema = JSONValue.object(["type": .text("string"), "pattern": .text("^(?=.)\(notZero)\(parts)$")])
    return Shape(schema: schema) { node, diagnostics in
      guard let text = node.text, let span = Span(text) else {
        let isNumber = node.text.map { !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } } ?? false
        let example =
          isNumber
          ? "write it with its unit, \(node.text ?? "")s for seconds"
          : "write it as 500ms, 30s, 5m, 1h30m or 2d"
        diagnostics.report(node.place, "\(what) is \(node.found), no duration up to \(Span.longest)", example)
        return nil
      }
      guard range.contains(span) else {
        diagnostics.report(
          node.place, "\(what) is \(span)", "write a duration from \(range.lowerBound) to \(range.upperBound)"
        )
        return nil
      }
      return span
    }
  }
}

extension Shape where Value == Amount {
  /// The most hosts that a file may name.
  static var mostHosts: Int { 1_000_000 }

  /// A count of hosts or a share of them; `least` 0 where none is possible.
  static func amount(_ what: String, least: Int) -> Shape {
    let notZero = least > 0 ? "(?!0+(\\.0+)?%$)" : ""
    let schema = JSONValue.object([
      "oneOf": .list([
        .object(["type": .text("integer"), "minimum": .number(least), "maximum": .number(mostHosts)]),
        .object([
          "type": .text("string"),
          "pattern": .text("^\(notZero)(100(\\.0{1,2})?|[1-9]?[0-9](\\.[0-9]{1,2})?)%$"),
        ]),
      ])
    ])
    return Shape(schema: schema) { node, diagnostics in
      let right = "write a count from \(least) or a share \(least > 0 ? "above 0%, " : "from 0% ")up to 100%"
      guard case .scalar(let text, let isPlain) = node.content, !node.isNull else {
        diagnostics.report(node.place, "\(what) must be a count or a share, not \(node.found)", right)
        return nil
      }
      if let count = wholeNumber(text) {
        guard isPlain else {
          diagnostics.report(
            node.place, "\(what) is the text \(quoted(text)), no number", "write \(count) without quotes")
          return nil
        }
        guard count >= least, count <= mostHosts else {
          diagnostics.report(node.place, "\(what) is \(count)", right)
          return nil
        }
        return .count(count)
      }
      guard let points = basisPoints(text) else {
        diagnostics.report(node.place, "\(what) is \(quoted(text)), neither a count nor a share", right)
        return nil
      }
      guard points >= (least > 0 ? 1 : 0), points <= 10_000 else {
        diagnostics.report(node.place, "\(what) is \(quoted(text))", right)
        return nil
      }
      return .share(basisPoints: points)
    }
  }

  /// `12%` and `0.5%` in hundredths of a percent; nil for anything else.
  private static func basisPoints(_ text: String) -> Int? {
    guard text.hasSuffix("%") else { return nil }
    let pieces = text.dropLast().split(separator: ".", omittingEmptySubsequences: false)
    guard let first = pieces.first, let whole = wholeNumber(String(first)), whole >= 0, whole <= 1_000_000,
      first.utf8.first != UInt8(ascii: "+")
    else { return nil }
    guard pieces.count == 2, let last = pieces.last else { return pieces.count == 1 ? whole * 100 : nil }
    guard (1...2).contains(last.utf8.count), last.utf8.allSatisfy({ (48...57).contains($0) }),
      let fraction = Int(last)
    else { return nil }
    return whole * 100 + (last.utf8.count == 1 ? fraction * 10 : fraction)
  }
}

extension Shape where Value == String {
  /// A name that may stand in output and on command lines: letters, digits, `.`, `_`, `-`.
  static func name(_ what: String) -> Shape {
    text(what, upTo: 63, pattern: "^[A-Za-z0-9][A-Za-z0-9._-]*$") { text in
      if consists(text, first: "", rest: "._-") { return nil }
      return Complaint(
        "\(what) is \(quoted(text))",
        "use letters, digits, \".\", \"_\" and \"-\", beginning with a letter or digit")
    }
  }
}

extension Span: Written {
  var written: JSONValue { .text(description) }
}

extension Amount: Written {
  var written: JSONValue {
    if case .count(let count) = self { .number(count) } else { .text(description) }
  }
}

extension BreachAction: Written {
  var written: JSONValue { .text(rawValue) }
}

extension Int: Written {
  var written: JSONValue { .number(self) }
}

extension Bool: Written {
  var written: JSONValue { .flag(self) }
}
