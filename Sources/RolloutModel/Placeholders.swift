/// What `{{ port }}`, `{{ slot }}`, `{{ version }}` and `{{ host }}` stand for in one slot on one host.
public struct Placeholders: Sendable {
  private let values: [(name: String, text: String)]

  /// The values for a release in a slot; `port` is the one that is meant (the slot's own, or the public one). Where the version
  /// is not known, its placeholder stays.
  public init(port: Int, slot: Slot, version: Version?, host: String) {
    values =
      [("port", String(port)), ("slot", slot.rawValue), ("host", host)]
      + (version.map { [("version", $0.text)] } ?? [])
  }

  /// Whether `text` has the placeholder of the version.
  public static func namesVersion(_ text: String) -> Bool {
    let only = Placeholders(values: [("version", "")])
    return only.fill(text) != text
  }

  private init(values: [(name: String, text: String)]) { self.values = values }

  /// `text` with each placeholder replaced; what stands between other braces stays. `escape` is applied to the values.
  public func fill(_ text: String, escape: (String) -> String = { $0 }) -> String {
    var result = ""
    var rest = text[...]
    while let open = rest.firstRange(of: "{{") {
      result += rest[..<open.lowerBound]
      guard let close = rest[open.upperBound...].firstRange(of: "}}"),
        let value = value(named: rest[open.upperBound..<close.lowerBound])
      else {
        result += "{{"
        rest = rest[open.upperBound...]
        continue
      }
      result += escape(value)
      rest = rest[close.upperBound...]
    }
    return result + rest
  }

  private func value(named padded: Substring) -> String? {
    let name = padded.drop(while: { $0 == " " })
    return values.first(where: {
      name.hasPrefix($0.name) && name.dropFirst($0.name.count).allSatisfy { $0 == " " }
    })?
    .text
  }
}
