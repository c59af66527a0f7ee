/// How many columns of a terminal a text takes.
enum DisplayWidth {
  /// Columns of text without control characters.
  static func of(_ text: some StringProtocol) -> Int {
    text.reduce(0) { $0 + of($1) }
  }

  /// Columns of one character: 0, 1 or 2.
  static func of(_ character: Character) -> Int {
    if character.isASCII { return 1 }
    guard let first = character.unicodeScalars.first else { return 0 }
    switch first.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format: return 0
    default: break
    }
    // A variation selector asks for the coloured picture; two regional indicators make one flag.
    let isPicture =
      first.properties.isEmojiPresentation || character.unicodeScalars.contains { $0.value == 0xfe0f }
      || (0x1f1e6...0x1f1ff).contains(first.value)
    return isPicture || isWide(first.value) ? 2 : 1
  }

  /// The blocks whose East Asian width is wide or full.
  private static func isWide(_ value: UInt32) -> Bool {
    switch value {
    case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0x33ff, 0x3400...0x4dbf, 0x4e00...0xa4cf,
      0xa960...0xa97c, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff01...0xff60, 0xffe0...0xffe6,
      0x1f200...0x1f2ff, 0x20000...0x3fffd:
      true
    default: false
    }
  }
}
