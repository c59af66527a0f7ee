import MarkedYAML

/// Names with ranges: `web[01:20].example`, `db-[a:f]`, `n[0:100:10]`, with an optional `:PORT` behind them.
enum HostRange {
  /// The names that a pattern stands for, and the port behind it. Errors are texts: what is wrong, what would be right.
  static func expand(_ pattern: String) -> Result<(names: [String], port: Int?), Complaint> {
    var body = pattern
    var port: Int?
    if let split = splitPort(pattern) {
      guard let number = Int(split.port), (1...65_535).contains(number) else {
        return .failure(
          Complaint("the port \(quoted(split.port)) is out of range", "write one from 1 to 65535"))
      }
      (body, port) = (split.body, number)
    }
    var names = [""]
    var rest = body[...]
    while let open = rest.firstIndex(of: "[") {
      guard let close = rest[open...].firstIndex(of: "]") else {
        return .failure(Complaint("a range in \(quoted(pattern)) is not closed", "write it as [01:20]"))
      }
      let head = rest[..<open]
      switch values(
        of: rest[rest.index(after: open)..<close], in: pattern, room: InventoryData.mostHosts / names.count)
      {
      case .failure(let complaint): return .failure(complaint)
      case .success(let values): names = names.flatMap { name in values.map { name + head + $0 } }
      }
      rest = rest[rest.index(after: close)...]
    }
    names = names.map { $0 + rest }
    if let bad = names.first(where: { !isHostName($0) }) {
      return .failure(
        Complaint(
          "\(quoted(bad)) is no host name",
          "use letters, digits, \".\", \"_\", \"-\" and \":\", beginning with a letter or digit"))
    }
    return .success((names, port))
  }

  /// Whether a name may stand in output, paths and requests.
  static func isHostName(_ name: String) -> Bool {
    guard let first = name.utf8.first, name.utf8.count <= 253 else { return false }
    return (isLetterOrDigit(first) || first == UInt8(ascii: ":"))
      && name.utf8.allSatisfy { isLetterOrDigit($0) || "._:-".utf8.contains($0) }
  }

  static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }

  /// `name:22`, `name[1:3]:22` and `[::1]:22`; a plain IPv6 address has no port.
  private static func splitPort(_ pattern: String) -> (body: String, port: String)? {
    guard let colon = pattern.lastIndex(of: ":") else { return nil }
    let port = pattern[pattern.index(after: colon)...]
    guard !port.isEmpty, port.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    let body = pattern[..<colon]
    if body.hasPrefix("["), body.hasSuffix("]"), body.dropFirst().firstIndex(of: "[") == nil {
      return (String(body.dropFirst().dropLast()), String(port))
    }
    var depth = 0
    for character in body {
      if character == "[" { depth += 1 }
      if character == "]" { depth -= 1 }
      if character == ":", depth == 0 { return nil }
    }
    return depth == 0 ? (String(body), String(port)) : nil
  }

  private static func values(
    of range: Substring, in pattern: String, room: Int
  ) -> Result<[String], Complaint> {
    let parts = range.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 || parts.count == 3, !parts[1].isEmpty else {
      return .failure(
        Complaint("\(quoted("[\(range)]")) is no range", "write it as [01:20], [a:f] or [0:100:10]"))
    }
    guard let step = parts.count == 3 ? Int(parts[2]) : 1, step > 0 else {
      return .failure(
        Complaint("the step of \(quoted("[\(range)]")) is not above 0", "write a step of 1 or more"))
    }
    let first = parts[0].isEmpty ? "0" : parts[0]
    if let from = letterIndex(first), let to = letterIndex(parts[1]) {
      guard from <= to else { return .failure(reversed(range)) }
      return .success(stride(from: from, through: to, by: step).map { String(letters[$0]) })
    }
    guard let from = digits(first), let to = digits(parts[1]) else {
      return .failure(Complaint("\(quoted("[\(range)]")) is no range", "write two numbers or two letters"))
    }
    guard from <= to else { return .failure(reversed(range)) }
    guard (to - from) / step < room else {
      return .failure(
        Complaint(
          "\(quoted(pattern)) stands for more than \(InventoryData.mostHosts) hosts", "write a smaller range")
      )
    }
    let isPadded = first.count > 1 && first.hasPrefix("0")
    if isPadded, first.count != parts[1].count {
      return .failure(
        Complaint(
          "the ends of \(quoted("[\(range)]")) have different lengths",
          "pad both with zeros to the same length"))
    }
    return .success(
      stride(from: from, through: to, by: step).map { number in
        let text = String(number)
        return isPadded ? String(repeating: "0", count: max(0, first.count - text.count)) + text : text
      })
  }

  private static let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

  private static func letterIndex(_ text: String) -> Int? {
    text.count == 1 ? text.first.flatMap(letters.firstIndex(of:)) : nil
  }

  private static func digits(_ text: String) -> Int? {
    text.utf8.count <= 15 && text.utf8.allSatisfy { (48...57).contains($0) } ? Int(text) : nil
  }

  private static func reversed(_ range: Substring) -> Complaint {
    Complaint("the range \(quoted("[\(range)]")) runs backwards", "write the smaller end first")
  }
}

/// What is wrong with a text and what would be right.
struct Complaint: Error, Sendable {
  let what: String
  let instead: String

  init(_ what: String, _ instead: String) {
    self.what = what
    self.instead = instead
  }
}
