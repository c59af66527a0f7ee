import RolloutModel

/// A rollout as lines for a pipe or a file: one for each change, with a clock. Numbers that only count on, as the
/// seconds of a wait, are no change.
struct ChangeLines {
  private struct Told: Hashable {
    var state: String
    var reason: String
  }

  private var rollout: Told?
  private var waves: [String: WaveSnapshot.State] = [:]
  /// When the hook that a wave waits for, and that was told of, began.
  private var hooks: [String: Int64] = [:]
  private var hosts: [String: Told] = [:]
  private var lastLines: [String: [String]] = [:]

  /// Lines for all that differs from what was told before: the rollout, waves, then hosts in the plan's order.
  mutating func lines(for snapshot: RolloutSnapshot, at wall: Int64) -> [String] {
    var lines: [String] = []
    lines += snapshot.waves.compactMap { line(for: $0.state, of: $0.name, at: wall) }
    for wave in snapshot.waves {
      if let hook = wave.hook { lines += self.lines(for: hook, nil, of: wave.name, at: wall) }
    }
    for host in snapshot.hosts { lines += self.lines(for: host, at: wall) }
    if let line = line(for: snapshot.state, reason: snapshot.reason, at: wall) {
      // A start is told before what it leads to, an end after what has led to it.
      snapshot.state.isEnd ? lines.append(line) : lines.insert(line, at: 0)
    }
    return lines
  }

  /// The line for a wave's state; nil where it was told before, and for one that is still to come.
  mutating func line(for state: WaveSnapshot.State, of wave: String, at wall: Int64) -> String? {
    guard waves.updateValue(state, forKey: wave) != state, state != .pending else { return nil }
    return Self.line(wall, "wave \(wave) \(state.rawValue)")
  }

  /// The line for a hook that a wave waits for, told once, or for what came of it.
  mutating func lines(
    for hook: HookSnapshot, _ outcome: HookOutcome?, of wave: String, at wall: Int64
  ) -> [String] {
    guard let outcome else {
      guard hooks.updateValue(hook.since, forKey: wave) != hook.since else { return [] }
      return [Self.line(wall, Words.waiting(for: hook, wave: wave))]
    }
    let took = Words.span(milliseconds: max(0, wall - hook.since))
    return [Self.line(wall, "wave \(wave): \(Words.name(hook)) \(Words.state(outcome)), \(took)")]
  }

  /// The line for a rollout's state; nil where it was told before.
  mutating func line(for state: RolloutState, reason: String, at wall: Int64) -> String? {
    let told = Told(state: state.rawValue, reason: Self.lasting(reason))
    guard told != rollout else { return nil }
    rollout = told
    return Self.line(wall, "rollout \(Words.state(state))\(Self.tail(reason))")
  }

  /// The lines for one host, its failed unit's last ones included; none where nothing changed, or where it only waits
  /// for its turn.
  mutating func lines(for host: HostSnapshot, at wall: Int64) -> [String] {
    let told = Told(state: host.state.rawValue, reason: Self.lasting(host.reason))
    let before = hosts.updateValue(told, forKey: host.host)
    guard before != told, before != nil || host.state != .pending else { return [] }
    let version = host.state == .promoted ? host.liveVersion.map { " on \($0)" } ?? "" : ""
    let name = escapedForTerminal(host.host)
    var lines = [Self.line(wall, "\(name) \(host.state.rawValue)\(version)\(Self.tail(host.reason))")]
    if lastLines.updateValue(host.lastLines, forKey: host.host) != host.lastLines {
      lines += host.lastLines.map { Self.line(wall, "\(name) | \(escapedForTerminal($0))") }
    }
    return lines
  }

  private static func tail(_ reason: String) -> String {
    reason.isEmpty ? "" : ": \(escapedForTerminal(reason))"
  }

  private static func line(_ wall: Int64, _ text: String) -> String { "\(Words.clock(wall)) \(text)" }

  /// A reason without its numbers.
  private static func lasting(_ reason: String) -> String { reason.filter { !$0.isNumber } }
}
