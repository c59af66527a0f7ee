import Ports

extension PlaybookValue {
  /// As YAML in one line that Ansible reads back as just this: JSON, with YAML's tags where JSON has no word.
  var yaml: String {
    switch self {
    case .null: "null"
    case .flag(let flag): flag ? "true" : "false"
    case .integer(let number): "\(number)"
    case .decimal(let number):
      number.isNaN ? ".nan" : number.isInfinite ? (number < 0 ? "-.inf" : ".inf") : "\(number)"
    case .text(let text): Self.quoted(text)
    case .vault(let text): "!vault " + Self.quoted(text)
    case .unsafe(let text): "!unsafe " + Self.quoted(text)
    case .list(let values): "[" + values.map(\.yaml).joined(separator: ", ") + "]"
    case .map(let values):
      "{"
        + values.sorted { $0.key < $1.key }.map { "\(Self.quoted($0.key)): \($0.value.yaml)" }
        .joined(separator: ", ") + "}"
    }
  }

  /// In double quotes, in ASCII alone: neither line breaks nor what YAML doesn't allow in a file get in.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x22, 0x5c: result += "\\" + String(Character(scalar))
      case 0x20..<0x7f: result.unicodeScalars.append(scalar)
      case 0...0xffff: result += "\\u" + padded(scalar.value, 4)
      default: result += "\\U" + padded(scalar.value, 8)
      }
    }
    return result + "\""
  }

  private static func padded(_ value: UInt32, _ count: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, count - digits.count)) + digits
  }
}

/// Reads Ansible's JSON, in which vaults' and unsafe texts are objects of one known key.
extension PlaybookValue: Decodable {
  /// Errors: it is no JSON.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let flag = try? container.decode(Bool.self) {  // Each try asks for a type; the last one tells.
      self = .flag(flag)
    } else if let number = try? container.decode(Int64.self) {  // as above
      self = .integer(number)
    } else if let number = try? container.decode(Double.self) {  // as above
      self = .decimal(number)
    } else if let text = try? container.decode(String.self) {  // as above
      self = .text(text)
    } else if let values = try? container.decode([PlaybookValue].self) {  // as above
      self = .list(values)
    } else {
      let values = try container.decode([String: PlaybookValue].self)
      if values.count == 1, case .text(let text)? = values["__ansible_vault"] {
        self = .vault(text)
      } else if values.count == 1, case .text(let text)? = values["__ansible_unsafe"] {
        self = .unsafe(text)
      } else {
        self = .map(values)
      }
    }
  }
}
