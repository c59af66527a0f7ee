import MarkedYAML
import RolloutModel

/// The placeholders that an agent file may use, `{{ port }}` for instance.
enum PlaceholderCheck {
  /// Their names.
  static let names = ["port", "slot", "version", "host"]

  /// What is wrong with the placeholders of a text; nil where nothing is.
  static func complaint(_ text: String) -> Complaint? {
    var rest = text[...]
    while let opening = rest.firstRange(of: "{{") {
      guard let closing = rest[opening.upperBound...].firstRange(of: "}}") else {
        return Complaint(
          "a placeholder begins with {{ and does not end: \(quoted(String(rest[opening.lowerBound...])))",
          "close it with }}")
      }
      let name = trimmed(rest[opening.upperBound..<closing.lowerBound])
      guard names.contains(name) else {
        let known = names.map { "{{ \($0) }}" }
        let near = nearest(to: name, of: names).map { "did you mean {{ \($0) }}?" }
        return Complaint(
          "there is no placeholder \(quoted(String(rest[opening.lowerBound..<closing.upperBound])))",
          near ?? "write \(alternatives(known))")
      }
      rest = rest[closing.upperBound...]
    }
    return nil
  }

  /// The text with every placeholder filled in with a letter, to check what surrounds them.
  static func neutralised(_ text: String) -> String {
    guard let version = Version("0") else { return text }
    return Placeholders(port: 1, slot: .blue, version: version, host: "h").fill(text) { _ in "x" }
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text.drop(while: { $0 == " " })
    while text.last == " " { text = text.dropLast() }
    return String(text)
  }
}
