import Glibc

/// How to write to a file descriptor: chosen once, from what it is and what the environment asks for.
struct OutputStyle: Hashable, Sendable {
  /// Whether it's a terminal that can redraw; else lines are written one after the other.
  var isLive: Bool
  /// Whether to colour.
  var hasColour: Bool
  /// Whether the terminal shows more than ASCII.
  var hasUnicode: Bool

  /// A style from its parts.
  init(isLive: Bool, hasColour: Bool, hasUnicode: Bool) {
    self.isLive = isLive
    self.hasColour = hasColour
    self.hasUnicode = hasUnicode
  }

  /// The style for a descriptor that is a terminal or not, in an environment: `NO_COLOR` (set to anything but nothing)
  /// takes colours away, `TERM=dumb` redrawing and colours; text for a pipe is UTF-8.
  init(isTerminal: Bool, environment: (String) -> String?) {
    let term = environment("TERM") ?? ""
    isLive = isTerminal && term != "dumb" && !term.isEmpty
    hasColour = isLive && (environment("NO_COLOR") ?? "").isEmpty
    let locale =
      ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap(environment).first { !$0.isEmpty } ?? ""
    let folded = locale.lowercased()
    hasUnicode = !isTerminal || folded.contains("utf-8") || folded.contains("utf8")
  }

  /// The style for an open descriptor of this process.
  static func of(descriptor: Int32) -> OutputStyle {
    OutputStyle(isTerminal: isatty(descriptor) == 1) { name in getenv(name).map { String(cString: $0) } }
  }
}

/// A terminal's size in characters.
struct TerminalSize: Hashable, Sendable {
  /// Characters in a line.
  var columns: Int
  /// Lines.
  var rows: Int

  /// A size; what is not positive becomes the usual 80 and 24.
  init(columns: Int, rows: Int) {
    self.columns = columns > 0 ? columns : 80
    self.rows = rows > 0 ? rows : 24
  }

  /// The size of the terminal behind a descriptor, asked anew each time; the usual one where it can't be told.
  static func of(descriptor: Int32) -> TerminalSize {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 else { return TerminalSize(columns: 0, rows: 0) }
    return TerminalSize(columns: Int(size.ws_col), rows: Int(size.ws_row))
  }
}

/// The signs that lines are drawn with.
struct Symbols: Sendable {
  var done: String
  var failed: String
  var active: String
  var waiting: String
  var more: String
  var arrow: String
  var dot: String
  var full: String
  var empty: String

  static let unicode = Symbols(
    done: "✔", failed: "✘", active: "●", waiting: "○", more: "…", arrow: "→", dot: "·", full: "█", empty: "░")
  static let ascii = Symbols(
    done: "+", failed: "x", active: "*", waiting: "-", more: "...", arrow: "->", dot: "-", full: "#",
    empty: ".")

  init(
    done: String, failed: String, active: String, waiting: String, more: String, arrow: String, dot: String,
    full: String, empty: String
  ) {
    self.done = done
    self.failed = failed
    self.active = active
    self.waiting = waiting
    self.more = more
    self.arrow = arrow
    self.dot = dot
    self.full = full
    self.empty = empty
  }

  /// The signs that an output can show.
  init(_ style: OutputStyle) { self = style.hasUnicode ? .unicode : .ascii }

  /// A bar of so many columns for a share of a whole; a share of nothing is nothing.
  func bar(_ part: Int64, of whole: Int64, columns: Int) -> String {
    let filled = whole <= 0 ? 0 : Int(min(max(part, 0), whole)) * columns / Int(whole)
    return String(repeating: full, count: filled) + String(repeating: empty, count: columns - filled)
  }
}
