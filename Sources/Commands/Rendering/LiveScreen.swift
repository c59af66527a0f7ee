/// Draws lines over the ones drawn before, in place: what did not change is not written, and each drawing is one text
/// for one write, so that nothing flickers. The screen above stays as it was and can be scrolled to.
struct LiveScreen: Sendable {
  /// What gives a terminal back its cursor and its line wrap; harmless at any time, so also for exits in a hurry.
  static let restoring = "\u{1b}[?7h\u{1b}[?25h"

  private let hasColour: Bool
  private var drawn: [StyledText] = []
  private var columns = 0
  private var hasBegun = false

  /// A screen that nothing has been drawn on.
  init(_ style: OutputStyle) { hasColour = style.hasColour }

  /// What to write so that these lines stand where the last ones did, the cursor below them; empty where nothing
  /// changed. The lines fit the terminal: they are no wider, and fewer than its rows.
  mutating func draw(_ lines: [StyledText], size: TerminalSize) -> String {
    let isResized = columns != size.columns
    guard lines != drawn || isResized else { return "" }
    // Cursor and line wrap off: a terminal that gets narrower must not break lines under our hands.
    var text = hasBegun ? "" : "\u{1b}[?25l\u{1b}[?7l"
    // Begin and end of one picture, for terminals that know it; others pass it over.
    text += "\u{1b}[?2026h"
    let up = rowsDrawn(at: size.columns)
    if up > 0 { text += "\u{1b}[\(up)A\r" }
    if isResized { text += "\u{1b}[J" }
    for (row, line) in lines.enumerated() {
      let stands = !isResized && row < drawn.count && drawn[row] == line
      // In a full line the cursor stands on the last character, which an erasure would take away.
      let rest = line.width < size.columns ? "\u{1b}[K" : ""
      text += (stands ? "" : line.rendered(colour: hasColour) + rest) + "\r\n"
    }
    if lines.count < drawn.count { text += "\u{1b}[J" }
    text += "\u{1b}[?2026l"
    (drawn, columns, hasBegun) = (lines, size.columns, true)
    return text
  }

  /// What to write before something else is written, which then stands above the next drawing.
  mutating func clear(size: TerminalSize) -> String {
    let up = rowsDrawn(at: size.columns)
    drawn = []
    return up > 0 ? "\u{1b}[\(up)A\r\u{1b}[J" : ""
  }

  /// What to write at the end: the last lines stay, the cursor below them is seen again.
  mutating func finish() -> String {
    defer { (drawn, hasBegun) = ([], false) }
    return hasBegun ? Self.restoring : ""
  }

  /// How many rows the last drawing takes now: terminals that got narrower have broken long lines.
  private func rowsDrawn(at columns: Int) -> Int {
    drawn.reduce(0) { $0 + max(1, ($1.width + columns - 1) / columns) }
  }
}
