import RolloutModel

/// What a piece of text is, for those who see colours; the words alone say the same.
enum Style: Sendable {
  case plain, strong, faint, good, bad, warning, active

  /// The terminal's code that begins it; empty for plain text.
  var code: String {
    switch self {
    case .plain: ""
    case .strong: "\u{1b}[1m"
    case .faint: "\u{1b}[2m"
    case .good: "\u{1b}[32m"
    case .bad: "\u{1b}[31m"
    case .warning: "\u{1b}[33m"
    case .active: "\u{1b}[36m"
    }
  }
}

/// One line of text in pieces, each with its style. Control characters can't get in: every piece is escaped.
struct StyledText: Hashable, Sendable {
  /// A piece of one style.
  struct Run: Hashable, Sendable {
    var text: String
    var style: Style
  }

  private(set) var runs: [Run] = []
  /// The column of the next piece; it's reached only when there is one, so that no line ends in spaces.
  private var nextColumn = 0

  /// A line of one piece.
  init(_ text: String = "", _ style: Style = .plain) { add(text, style) }

  /// Columns that it takes.
  var width: Int { runs.reduce(0) { $0 + DisplayWidth.of($1.text) } }

  /// Its text without styles.
  var plain: String { runs.map(\.text).joined() }

  /// Appends a piece.
  mutating func add(_ text: String, _ style: Style = .plain) {
    guard !text.isEmpty else { return }
    let gap = nextColumn - width
    if gap > 0 { runs.append(Run(text: String(repeating: " ", count: gap), style: .plain)) }
    nextColumn = 0
    runs.append(Run(text: escapedForTerminal(text, limit: 4000), style: style))
  }

  /// Appends another line's pieces.
  mutating func add(_ other: StyledText) {
    for run in other.runs { add(run.text, run.style) }
  }

  /// The next piece begins at this column, or behind the last one where that ends later.
  mutating func pad(to column: Int) { nextColumn = column }

  /// The line in at most so many columns; where something is cut away, `mark` stands in its place.
  func cut(to columns: Int, mark: String = "…") -> StyledText {
    guard width > columns else { return self }
    var cut = StyledText()
    var room = columns - DisplayWidth.of(mark)
    for run in runs {
      let kept = run.text.prefix { character in
        room -= DisplayWidth.of(character)
        return room >= 0
      }
      cut.add(String(kept), run.style)
      guard room >= 0 else {
        cut.add(String(mark.prefix(max(0, columns))), run.style)
        break
      }
    }
    return cut
  }

  /// For output: with the terminal's codes, or without.
  func rendered(colour: Bool) -> String {
    guard colour else { return plain }
    return runs.map { $0.style.code.isEmpty ? $0.text : $0.style.code + $0.text + "\u{1b}[0m" }.joined()
  }
}
