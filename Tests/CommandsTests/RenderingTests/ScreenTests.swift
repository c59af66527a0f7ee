import RolloutModel
import Testing

@testable import Commands

/// As much of a terminal as `LiveScreen` uses.
private struct Terminal {
  var lines: [String] = [""]
  var row = 0
  var column = 0
  var hasCursor = true

  mutating func write(_ text: String) {
    var rest = text[...]
    while let character = rest.popFirst() {
      switch character {
      case "\r\n":
        (row, column) = (row + 1, 0)
        if row == lines.count { lines.append("") }
      case "\r": column = 0
      case "\u{1b}":
        let code = rest.prefix { !$0.isLetter }
        rest = rest.dropFirst(code.count)
        control(code.dropFirst(), rest.popFirst() ?? " ")
      default:
        let kept = lines[row].prefix(column)
        lines[row] = kept + String(character) + lines[row].dropFirst(column + 1)
        column += 1
      }
    }
  }

  private mutating func control(_ code: Substring, _ name: Character) {
    switch (code, name) {
    case (_, "A"): row -= Int(code) ?? 1
    case (_, "K"): lines[row] = String(lines[row].prefix(column))
    case (_, "J"):
      lines[row] = String(lines[row].prefix(column))
      lines = Array(lines.prefix(row + 1))
    case ("?25", "l"): hasCursor = false
    case ("?25", "h"): hasCursor = true
    default: break
    }
  }
}

@Suite("Drawing in place")
struct ScreenTests {
  private let style = OutputStyle(isLive: true, hasColour: false, hasUnicode: true)
  private let size = TerminalSize(columns: 20, rows: 10)

  private func lines(_ texts: [String]) -> [StyledText] { texts.map { StyledText($0) } }

  @Test("Each drawing replaces the last, whatever grows or shrinks, and leaves what stood above")
  func redraws() {
    var terminal = Terminal()
    terminal.write("$ switchyard\r\n")
    var screen = LiveScreen(style)
    for texts in [["a", "b"], ["a", "longer"], ["x"], ["x", "y", "z"], [], ["end"]] {
      terminal.write(screen.draw(lines(texts), size: size))
      #expect(terminal.lines == ["$ switchyard"] + texts + [""])
      #expect(!terminal.hasCursor)
    }
    terminal.write(screen.finish())
    #expect(terminal.hasCursor)
    #expect(terminal.row == 2)
  }

  @Test("Other lines find room above the next drawing")
  func clears() {
    var terminal = Terminal()
    var screen = LiveScreen(style)
    terminal.write(screen.draw(lines(["a", "b"]), size: size))
    terminal.write(screen.clear(size: size) + "message\r\n")
    terminal.write(screen.draw(lines(["a", "b"]), size: size))
    #expect(terminal.lines == ["message", "a", "b", ""])
  }

  @Test("What did not change is not written")
  func unchanged() {
    var screen = LiveScreen(style)
    _ = screen.draw(lines(["same", "old"]), size: size)
    #expect(screen.draw(lines(["same", "old"]), size: size) == "")
    let text = screen.draw(lines(["same", "new"]), size: size)
    #expect(!text.contains("same"))
    #expect(text.contains("new"))
  }

  @Test("A line as wide as the terminal keeps its last character")
  func fullLine() {
    var screen = LiveScreen(style)
    let full = String(repeating: "x", count: 20)
    #expect(!screen.draw(lines([full]), size: size).contains("x\u{1b}[K"))
  }

  @Test("In a terminal that got narrower the broken lines are all taken back")
  func resized() {
    var screen = LiveScreen(style)
    _ = screen.draw(lines([String(repeating: "x", count: 20), "y"]), size: size)
    let text = screen.draw(lines(["x", "y"]), size: TerminalSize(columns: 8, rows: 10))
    #expect(text.contains("\u{1b}[4A\r\u{1b}[J"))
  }

  @Test("Nothing is to be restored where nothing was drawn")
  func nothingDrawn() {
    var screen = LiveScreen(style)
    #expect(screen.finish() == "")
  }

  @Test("Colours, redrawing and Unicode follow the terminal and the environment")
  func styles() {
    func style(_ isTerminal: Bool, _ environment: [String: String]) -> OutputStyle {
      OutputStyle(isTerminal: isTerminal) { environment[$0] }
    }
    let utf8 = ["TERM": "xterm", "LANG": "de_DE.UTF-8"]
    #expect(style(true, utf8) == OutputStyle(isLive: true, hasColour: true, hasUnicode: true))
    #expect(
      style(true, utf8.merging(["NO_COLOR": "1"]) { $1 })
        == OutputStyle(isLive: true, hasColour: false, hasUnicode: true))
    #expect(style(true, utf8.merging(["NO_COLOR": ""]) { $1 }).hasColour)
    #expect(style(true, utf8.merging(["LC_ALL": "C"]) { $1 }).hasUnicode == false)
    for term in ["dumb", ""] {
      #expect(
        style(true, ["TERM": term]) == OutputStyle(isLive: false, hasColour: false, hasUnicode: false))
    }
    #expect(style(false, utf8) == OutputStyle(isLive: false, hasColour: false, hasUnicode: true))
  }
}

@Suite("Text in columns")
struct TextTests {
  @Test(
    "Widths are those that terminals draw",
    arguments: [
      ("abc", 3), ("é", 1), ("e\u{301}", 1), ("健康", 4), ("한글", 4), ("✔", 1), ("█░", 2), ("👍", 2), ("👩‍👩‍👧", 2),
      ("🇩🇪", 2), ("❤\u{fe0f}", 2), ("\u{200b}", 0), ("…", 1), ("Ａ", 2),
    ])
  func widths(text: String, columns: Int) { #expect(DisplayWidth.of(text) == columns) }

  @Test("A cut never halves a character, and the mark stands within the width")
  func cut() {
    let line = StyledText("健康でない")
    #expect(
      (0...11).map { line.cut(to: $0).plain } == [
        "", "…", "…", "健…", "健…", "健康…", "健康…", "健康で…", "健康で…", "健康でな…", "健康でない", "健康でない",
      ])
    #expect(StyledText("abcdef").cut(to: 2, mark: "...").plain == "..")
  }

  @Test("Colours surround their piece alone, and only where wanted")
  func colour() {
    var line = StyledText("a ")
    line.add("b", .bad)
    line.add(" c\u{1b}[0m")
    #expect(line.rendered(colour: true) == "a \u{1b}[31mb\u{1b}[0m c\\u{1b}[0m")
    #expect(line.rendered(colour: false) == "a b c\\u{1b}[0m")
  }

  @Test("Times and sizes in their largest units")
  func words() {
    #expect(
      [-5, 0, 999, 59_999, 65_000, 7_620_000, 273_600_000].map { Words.span(milliseconds: $0) } == [
        "0s", "0s", "0s", "59s", "1m5s", "2h7m", "3d4h",
      ])
    #expect(
      [0, 999, 1000, 13_540_000, 2_000_000_000].map { Words.bytes($0) } == [
        "0 bytes", "999 bytes", "1.0 kB", "13.5 MB", "2.0 GB",
      ])
    #expect(Words.clock(noon + 999) == "2026-11-23T23:00:00Z")
  }
}
