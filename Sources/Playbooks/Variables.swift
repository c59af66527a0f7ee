import FoundationEssentials
import MarkedYAML
import Ports

/// Reads extra variables as people write them.
public enum Variables {
  /// The longest number that is read as one; longer ones are text.
  private static let digits = 18

  /// The variables of a YAML or JSON file. Errors: all that is wrong, with its place.
  public static func file(_ path: String) throws(FileProblems) -> [String: PlaybookValue] {
    let node = try MarkedYAML.parse(BoundedFile.read(path: path), file: path, keepTags: true)
    guard let entries = node.entries else {
      throw FileProblems(
        file: path, place: node.place, what: "the variables must be a mapping, not \(node.found)",
        instead: "write NAME: VALUE")
    }
    let diagnostics = Diagnostics(file: path)
    var values: [String: PlaybookValue] = [:]
    for entry in entries {
      guard isName(entry.key) else {
        diagnostics.report(
          entry.keyPlace, "\(quoted(entry.key)) is no variable's name",
          "use letters, digits and _, a letter first")
        continue
      }
      values[entry.key] = value(entry.value, diagnostics)
    }
    try diagnostics.throwIfAny()
    return values
  }

  /// One variable of the command line: `NAME=TEXT`, always text, or `NAME:=JSON`. Nil where it is neither.
  public static func argument(_ text: String) -> (name: String, value: PlaybookValue)? {
    guard let sign = text.firstIndex(of: "=") else { return nil }
    let value = String(text[text.index(after: sign)...])
    let name = text[..<sign]
    if name.hasSuffix(":") {
      // What is no JSON is told from its absence by the caller.
      guard isName(String(name.dropLast())),
        let json = try? JSONDecoder().decode(PlaybookValue.self, from: Data(value.utf8))
      else { return nil }
      return (String(name.dropLast()), json)
    }
    return isName(String(name)) ? (String(name), .text(value)) : nil
  }

  /// Whether Ansible takes a text for a variable's name.
  public static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, !(48...57).contains(first), text.utf8.count <= 128 else {
      return false
    }
    return text.utf8.allSatisfy { byte in
      switch byte {
      case 48...57, 65...90, 97...122, 95: true
      default: false
      }
    }
  }

  private static func value(_ node: MarkedNode, _ diagnostics: Diagnostics) -> PlaybookValue {
    switch node.content {
    case .mapping(let entries):
      return .map(
        Dictionary(
          entries.map { ($0.key, value($0.value, diagnostics)) }, uniquingKeysWith: { _, last in last }))
    case .sequence(let values): return .list(values.map { value($0, diagnostics) })
    case .scalar(let text, let isPlain):
      switch node.tag {
      case nil: return isPlain ? plain(text, node) : .text(text)
      case "!vault": return .vault(text)
      case "!unsafe": return .unsafe(text)
      case let tag?:
        diagnostics.report(
          node.place, "the tag \(quoted(tag)) is not understood", "write !vault or !unsafe, or no tag")
        return .null
      }
    }
  }

  /// As Ansible's YAML 1.1 has it.
  private static func plain(_ text: String, _ node: MarkedNode) -> PlaybookValue {
    if node.isNull { return .null }
    switch text.lowercased() {
    case "true", "yes", "on": return .flag(true)
    case "false", "no", "off": return .flag(false)
    default: break
    }
    guard text.utf8.count <= digits, text.utf8.allSatisfy({ "+-0123456789.eE".utf8.contains($0) }) else {
      return .text(text)
    }
    // Numbers that begin with 0 are octal there: they are text here, and so a file's mode stays what it is.
    let isOctal = text.hasPrefix("0") && text.utf8.count > 1 && !text.contains(".")
    if !isOctal, let number = Int64(text) { return .integer(number) }
    if text.contains("."), text.utf8.first.map({ (48...57).contains($0) || $0 == 45 }) ?? false,
      let number = Double(text)
    {
      return .decimal(number)
    }
    return .text(text)
  }
}
