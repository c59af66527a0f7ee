import RolloutModel

/// A rollout as a tree of waves and hosts, in as many lines and columns as a terminal has.
///
/// Hosts on their way and hosts in trouble have lines of their own as long as there is room; the others are counted.
struct LiveView {
  var snapshot: RolloutSnapshot
  /// The wall clock, in milliseconds since 1970.
  var now: Int64
  var size: TerminalSize
  var symbols: Symbols

  /// The lines, cut to the terminal's width; one fewer than it has rows, for the cursor.
  func lines() -> [StyledText] {
    let room = max(1, size.rows - 1)
    let head = headLines()
    let tree = LiveTree(snapshot: snapshot, now: now, symbols: symbols)
    let lines = head + tree.lines(room: room - head.count)
    return lines.prefix(room).map { $0.cut(to: size.columns, mark: symbols.more) }
  }

  private func headLines() -> [StyledText] {
    var title = StyledText("\(snapshot.agent) \(snapshot.version)", .strong)
    title.add("  ")
    title.add(Words.state(snapshot.state), snapshot.state.style)
    if let took = StatusText.took(snapshot, now: now) { title.add("  \(took)") }
    title.add("  policy \(snapshot.policy)  \(snapshot.id)", .faint)
    var lines = [title]
    if !snapshot.reason.isEmpty { lines.append(StyledText(snapshot.reason, snapshot.state.style)) }
    lines.append(progressLine())
    lines.append(budgetLine())
    lines.append(StyledText())
    return lines
  }

  private func progressLine() -> StyledText {
    let total = snapshot.hosts.count
    let ended = total - snapshot.counts.pending - snapshot.counts.inFlight
    var line = StyledText(symbols.bar(Int64(ended), of: Int64(total), columns: 20), snapshot.state.style)
    line.add("  \(Words.counts(snapshot.counts, dot: symbols.dot))")
    return line
  }

  private func budgetLine() -> StyledText {
    let isSpent = snapshot.failures > snapshot.failuresBorne
    var line = StyledText(
      "\(Words.count(snapshot.failures, "failure")), \(snapshot.failuresBorne) borne",
      isSpent ? .bad : snapshot.failures > 0 ? .warning : .faint)
    if let left = Estimate.remaining(snapshot, now: now) {
      line.add(" \(symbols.dot) about \(Words.span(milliseconds: left)) left", .faint)
    }
    return line
  }
}
