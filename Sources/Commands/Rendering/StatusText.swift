import RolloutModel

/// What `status` and `list` print.
enum StatusText {
  /// A rollout with its waves and all its hosts.
  static func status(_ snapshot: RolloutSnapshot, now: Int64, symbols: Symbols) -> [StyledText] {
    var title = StyledText("\(snapshot.agent) \(snapshot.version)", .strong)
    title.add(" by policy \(snapshot.policy): ")
    title.add(Words.state(snapshot.state), snapshot.state.style)
    var lines = [title]
    if !snapshot.reason.isEmpty { lines.append(StyledText("  \(snapshot.reason)")) }
    let begun = [started(snapshot).map { "started \($0)" } ?? notBegun, took(snapshot, now: now)]
    lines.append(
      StyledText("  rollout \(snapshot.id), \(begun.compactMap { $0 }.joined(separator: ", "))"))
    lines.append(
      StyledText(
        "  \(Words.counts(snapshot.counts, dot: symbols.dot)); "
          + "\(Words.count(snapshot.failures, "failure")), \(snapshot.failuresBorne) borne"))
    if let hooks = hooks(snapshot) { lines.append(StyledText("  hooks: \(hooks)")) }
    lines += [StyledText()] + waves(snapshot, now: now) + [StyledText()] + hosts(snapshot)
    for host in snapshot.hosts where !host.lastLines.isEmpty {
      lines += [StyledText(), StyledText("Last lines of \(host.host):", .strong)]
      lines += host.lastLines.map { StyledText("  \($0)") }
    }
    return lines
  }

  /// What stands in the place of a start for a rollout that was planned and never begun.
  private static let notBegun = "not begun"

  private static func started(_ snapshot: RolloutSnapshot) -> String? {
    snapshot.startedAt.map(Words.clock)
  }

  /// How long it took, or takes already; nil while it has not begun.
  static func took(_ snapshot: RolloutSnapshot, now: Int64) -> String? {
    snapshot.startedAt.map { Words.span(milliseconds: (snapshot.endedAt ?? now) - $0) }
  }

  private static func hooks(_ snapshot: RolloutSnapshot) -> String? {
    let named = WaveHook.allCases.compactMap { hook in
      snapshot.hooks?[hook.rawValue].map { "\(hook.rawValue) \(escapedForTerminal($0))" }
    }
    return named.isEmpty ? nil : named.joined(separator: ", ")
  }

  private static func waves(_ snapshot: RolloutSnapshot, now: Int64) -> [StyledText] {
    var table = Table(["WAVE", "STATE", "HOSTS", "AT ONCE", "SOAK", "APPROVAL"])
    for wave in snapshot.waves {
      let waits = wave.hook.map {
        ", waits: \(Words.name($0)), \(Words.span(milliseconds: max(0, now - $0.since)))"
      }
      table.add([
        StyledText(wave.name), StyledText(wave.state.rawValue + (waits ?? ""), wave.state.style),
        StyledText("\(wave.hosts.count)"), StyledText("\(wave.batch)"), StyledText("\(wave.soak)"),
        StyledText(wave.approve ? "needed" : ""),
      ])
    }
    return table.lines()
  }

  private static func hosts(_ snapshot: RolloutSnapshot) -> [StyledText] {
    var table = Table(["HOST", "WAVE", "STATE", "LIVE", "RETAINED", "TOOK", "REASON"])
    for host in snapshot.hosts {
      let live = [host.liveSlot, host.liveVersion].compactMap { $0 }.joined(separator: " ")
      let seconds = host.phases.values.filter(\.isFinite).reduce(0, +)
      table.add([
        StyledText(host.host), StyledText(host.wave), StyledText(host.state.rawValue, host.state.style),
        StyledText(live), StyledText(host.retainedVersion ?? ""),
        StyledText(
          host.phases.isEmpty ? "" : Words.span(milliseconds: Int64(min(max(seconds, 0), 1e9) * 1000))),
        StyledText(host.reason),
      ])
    }
    return table.lines()
  }

  /// All rollouts of a journal, a line each.
  static func list(_ rollouts: [RolloutSnapshot], now: Int64) -> [StyledText] {
    guard !rollouts.isEmpty else { return [StyledText("no rollouts yet")] }
    var table = Table(["ROLLOUT", "AGENT", "VERSION", "POLICY", "STATE", "PROMOTED", "STARTED", "TOOK"])
    for rollout in rollouts {
      table.add([
        StyledText(rollout.id), StyledText(rollout.agent), StyledText(rollout.version),
        StyledText(rollout.policy), StyledText(Words.state(rollout.state), rollout.state.style),
        StyledText("\(rollout.counts.promoted)/\(rollout.hosts.count)"),
        StyledText(started(rollout) ?? notBegun), StyledText(took(rollout, now: now) ?? ""),
      ])
    }
    return table.lines()
  }
}
