/// An argument with places for values: `--unit={{ unit }}`.
enum ArgumentTemplate {
  /// A part of an argument.
  enum Piece: Hashable, Sendable {
    case text(String)
    /// The place of the value with this name.
    case value(String)
  }

  /// The parts of an argument; nil where a placeholder is not whole.
  static func pieces(of argument: String) -> [Piece]? {
    var pieces: [Piece] = []
    var rest = Substring(argument)
    while let start = rest.firstRange(of: "{{") {
      guard let end = rest[start.upperBound...].firstRange(of: "}}") else { return nil }
      let name = rest[start.upperBound..<end.lowerBound].filter { $0 != " " }
      guard CommandFields.isName(name) else { return nil }
      if start.lowerBound > rest.startIndex { pieces.append(.text(String(rest[..<start.lowerBound]))) }
      pieces.append(.value(name))
      rest = rest[end.upperBound...]
    }
    guard !rest.contains("}}") else { return nil }
    if !rest.isEmpty { pieces.append(.text(String(rest))) }
    return pieces
  }

  /// The argument with its values in place, each once: a value is never looked through for placeholders. Nil where one is missing.
  static func fill(_ argument: String, _ values: [String: String]) -> String? {
    guard let pieces = pieces(of: argument) else { return nil }
    var result = ""
    for piece in pieces {
      switch piece {
      case .text(let text): result += text
      case .value(let name):
        guard let value = values[name] else { return nil }
        result += value
      }
    }
    return result
  }
}
