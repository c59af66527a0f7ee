/// A command line for the login shell on the other side, which splits it into exactly `arguments` and expands nothing.
/// Valid for every shell that knows single quotes: sh, bash, dash, zsh, ksh, fish (nothing is left for it to unescape).
func shellQuoted(_ arguments: [String]) -> String {
  arguments.map(quoted).joined(separator: " ")
}

private func quoted(_ argument: String) -> String {
  if !argument.isEmpty, argument.utf8.allSatisfy(isPlain) { return argument }
  // Quotes and backslashes stand outside of the single quotes, escaped, since fish unescapes them inside.
  var result = ""
  var isOpen = false
  for scalar in argument.unicodeScalars {
    let mustEscape = scalar == "'" || scalar == "\\"
    if mustEscape == isOpen {
      result += "'"
      isOpen.toggle()
    }
    if mustEscape { result += "\\" }
    result.unicodeScalars.append(scalar)
  }
  if isOpen { result += "'" }
  return result.isEmpty ? "''" : result
}

/// Bytes that no shell gives a meaning, wherever they stand in a word.
private func isPlain(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"):
    true
  case UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
  default: false
  }
}
