import RolloutModel

/// How far a run has come, for a terminal.
struct PlaybookProgress {
  private struct Row {
    var host: String
    var task = ""
    var counts = PlaybookCounts()
    var end: PlaybookHostReport?
    var last: PlaybookTaskResult?
  }

  private let playbook: String
  private let isCheck: Bool
  private var rows: [Row]
  private let places: [String: Int]
  private var task = ""

  init(playbook: String, isCheck: Bool, hosts: [String]) {
    self.playbook = playbook
    self.isCheck = isCheck
    rows = hosts.map { Row(host: $0) }
    places = Dictionary(hosts.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
  }

  mutating func take(_ event: PlaybookEvent) {
    switch event {
    case .door, .play: return
    case .task(let task, let host):
      guard let host else {
        self.task = task.name
        return
      }
      if let place = places[host] { rows[place].task = task.name }
    case .result(let result):
      guard let place = places[result.host] else { return }
      rows[place].last = result
      rows[place].task = result.task.name
      switch result.outcome {
      case .ok: rows[place].counts.ok += 1
      case .changed: rows[place].counts.changed += 1
      case .skipped: rows[place].counts.skipped += 1
      case .failed: rows[place].counts.failed += 1
      case .unreachable: rows[place].counts.unreachable += 1
      case .ignored: rows[place].counts.ignored += 1
      }
    case .ended(let report):
      if let place = places[report.host] { rows[place].end = report }
    }
  }

  /// In at most so many rows and columns: hosts in trouble first, then those that still run.
  func lines(_ size: TerminalSize, _ symbols: Symbols) -> [StyledText] {
    let ended = rows.count { $0.end != nil }
    var head = StyledText(playbook, .strong)
    if isCheck { head.add("  check: nothing is changed", .warning) }
    head.add("  \(ended) of \(rows.count) hosts done", .faint)
    if !task.isEmpty { head.add("  \(task)", .active) }
    let room = max(1, size.rows - 3)
    let ordered = rows.indices.sorted { (rank(rows[$0]), $0) < (rank(rows[$1]), $1) }
    let width = min(24, rows.map { StyledText($0.host).width }.max() ?? 0)
    var lines = [head] + ordered.prefix(room).map { line(rows[$0], width, symbols) }
    if rows.count > room { lines.append(StyledText("\(symbols.more) and \(rows.count - room) more", .faint)) }
    return lines.map { $0.cut(to: size.columns, mark: symbols.more) }
  }

  private func rank(_ row: Row) -> Int {
    guard let end = row.end else { return row.task.isEmpty ? 2 : 1 }
    return end.isGood ? 3 : 0
  }

  private func line(_ row: Row, _ width: Int, _ symbols: Symbols) -> StyledText {
    var line = StyledText("  ")
    let style = row.end.map(\.outcome.style) ?? (row.task.isEmpty ? .faint : .active)
    line.add(
      row.end.map { $0.outcome.sign(symbols) } ?? (row.task.isEmpty ? symbols.waiting : symbols.active), style
    )
    line.add(" ")
    line.add(StyledText(row.host).cut(to: width, mark: symbols.more))
    line.pad(to: width + 5)
    if let end = row.end {
      line.add(end.outcome.rawValue, style)
      line.pad(to: width + 17)
      line.add(end.isGood ? PlaybookText.counts(end.counts) : "\(end.failedTask)  \(end.reason)", .faint)
    } else {
      line.add(PlaybookText.counts(row.counts), .faint)
      line.add("  \(row.task)")
    }
    return line
  }
}

extension PlaybookHostReport.Outcome {
  var style: Style {
    switch self {
    case .ok: .good
    case .changed: .warning
    case .skipped, .unmatched: .faint
    case .failed, .unreachable, .lost: .bad
    }
  }

  func sign(_ symbols: Symbols) -> String {
    switch self {
    case .ok, .changed, .skipped: symbols.done
    case .failed, .unreachable, .lost, .unmatched: symbols.failed
    }
  }
}
