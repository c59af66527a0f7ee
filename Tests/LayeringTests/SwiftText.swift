/// Swift's text, as far as telling code from comments and texts takes.
enum SwiftText {
  /// The code alone: comments and the contents of texts become spaces; line breaks, and code inside texts, stay.
  static func code(of text: String) -> String {
    var scanner = Scanner(bytes: Array(text.utf8))
    return scanner.code()
  }

  private struct Scanner {
    private enum Mode {
      /// Code, and how many parentheses are open in it.
      case code(open: Int)
      /// A comment between marks, and how many of them are open.
      case comment(open: Int)
      /// A text: how many `#` begin and end it, and whether it has three quotes.
      case text(marks: Int, isLong: Bool)
    }

    let bytes: [UInt8]
    private var place = 0
    private var modes: [Mode] = [.code(open: 0)]
    private var result: [UInt8] = []

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func code() -> String {
      while place < bytes.count {
        switch modes.last ?? .code(open: 0) {
        case .code(let open): scanCode(open)
        case .comment(let open): scanComment(open)
        case .text(let marks, let isLong): scanText(marks, isLong)
        }
      }
      return String(decoding: result, as: UTF8.self)
    }

    private func isHere(_ text: String) -> Bool { bytes[place...].starts(with: text.utf8) }

    /// How many bytes stand here that begin nothing of interest in code.
    private var plain: Int {
      var end = place
      while end < bytes.count {
        switch bytes[end] {
        case UInt8(ascii: "/"), UInt8(ascii: "\""), UInt8(ascii: "#"), UInt8(ascii: "("), UInt8(ascii: ")"):
          return end - place
        default: end += 1
        }
      }
      return end - place
    }

    /// Takes bytes over, or spaces for them.
    private mutating func take(_ count: Int, blank: Bool) {
      for byte in bytes[place..<min(place + count, bytes.count)] {
        result.append(blank && byte != UInt8(ascii: "\n") ? UInt8(ascii: " ") : byte)
      }
      place += count
    }

    private mutating func replaceMode(_ mode: Mode) {
      modes.removeLast()
      modes.append(mode)
    }

    private mutating func scanCode(_ open: Int) {
      take(plain, blank: false)
      guard place < bytes.count else { return }
      if isHere("//") {
        let end = bytes[place...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
        take(end - place, blank: true)
      } else if isHere("/*") {
        modes.append(.comment(open: 1))
        take(2, blank: true)
      } else if let (marks, isLong) = opening() {
        modes.append(.text(marks: marks, isLong: isLong))
        take(marks + (isLong ? 3 : 1), blank: true)
      } else {
        if isHere("(") { replaceMode(.code(open: open + 1)) }
        if isHere(")") {
          if open == 0, modes.count > 1 {
            modes.removeLast()
          } else {
            replaceMode(.code(open: max(0, open - 1)))
          }
        }
        take(1, blank: false)
      }
    }

    private mutating func scanComment(_ open: Int) {
      if isHere("/*") {
        replaceMode(.comment(open: open + 1))
        take(2, blank: true)
      } else if isHere("*/") {
        if open == 1 { modes.removeLast() } else { replaceMode(.comment(open: open - 1)) }
        take(2, blank: true)
      } else {
        take(1, blank: true)
      }
    }

    private mutating func scanText(_ marks: Int, _ isLong: Bool) {
      let hashes = String(repeating: "#", count: marks)
      let end = (isLong ? "\"\"\"" : "\"") + hashes
      if isHere("\\" + hashes + "(") {
        take(1 + marks, blank: true)
        modes.append(.code(open: 0))
        take(1, blank: false)
      } else if isHere("\\" + hashes) {
        take(2 + marks, blank: true)
      } else if isHere(end) || (!isLong && isHere("\n")) {
        modes.removeLast()
        take(isHere("\n") ? 1 : end.utf8.count, blank: true)
      } else {
        take(1, blank: true)
      }
    }

    /// Whether a text begins here, and how.
    private func opening() -> (marks: Int, isLong: Bool)? {
      let marks = bytes[place...].prefix { $0 == UInt8(ascii: "#") }.count
      let quotes = bytes[(place + marks)...].prefix(3).prefix { $0 == UInt8(ascii: "\"") }.count
      return quotes == 0 ? nil : (marks, quotes == 3)
    }
  }
}
