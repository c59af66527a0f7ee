/// Rows in columns that stand below one another.
struct Table {
  private var rows: [[StyledText]] = []

  /// An empty table, without titles where there are none.
  init(_ titles: [String] = []) {
    if !titles.isEmpty { rows.append(titles.map { StyledText($0, .faint) }) }
  }

  /// Appends a row.
  mutating func add(_ cells: [StyledText]) { rows.append(cells) }

  /// Titles and rows, two spaces between columns.
  func lines(indent: Int = 0) -> [StyledText] {
    var widths: [Int] = []
    for row in rows {
      for (place, cell) in row.enumerated() {
        if place == widths.count { widths.append(0) }
        widths[place] = max(widths[place], cell.width)
      }
    }
    return rows.map { row in
      var line = StyledText()
      var column = indent
      for (cell, width) in zip(row, widths) {
        line.pad(to: column)
        line.add(cell)
        column += width + 2
      }
      return line
    }
  }
}
