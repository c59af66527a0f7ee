/// Text that hosts, agents or files said, made safe for a terminal, a log and a message: control characters,
/// bidirectional overrides and invalid bytes become visible escapes, and the length is bounded.
public func escapedForTerminal(_ text: some StringProtocol, limit: Int = 400) -> String {
  var result = ""
  var count = 0
  for scalar in text.unicodeScalars {
    guard count < limit else { return result + "…" }
    count += 1
    switch scalar.value {
    case 0x09: result += " "
    case 0x00...0x1f, 0x7f...0x9f, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069, 0xfeff:
      result += "\\u{" + String(scalar.value, radix: 16) + "}"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
