import FoundationEssentials
import RolloutModel

/// Numbers and times as people read them.
enum Words {
  /// A length of time in its two largest units: `12s`, `1m5s`, `2h7m`, `3d4h`.
  static func span(milliseconds: Int64) -> String {
    let seconds = max(0, milliseconds) / 1000
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400)
    if days > 0 { return "\(days)d\(hours % 24)h" }
    if hours > 0 { return "\(hours)h\(minutes % 60)m" }
    if minutes > 0 { return "\(minutes)m\(seconds % 60)s" }
    return "\(seconds)s"
  }

  /// A point in time, in milliseconds since 1970, as `2026-11-23T23:41:31Z`.
  static func clock(_ wall: Int64) -> String {
    // Whole seconds: halves of one would round some lines of the same second up.
    Date(timeIntervalSince1970: Double(wall / 1000)).ISO8601Format()
  }

  /// A share from 0 to 1 in percent, with two digits: `95%`, `0.26%`.
  static func share(_ share: Double) -> String {
    guard share > 0, share <= 1 else { return share > 0 ? "100%" : "0%" }
    var (percent, digits) = (share * 100, 0)
    while percent < 9.95, digits < 4 { (percent, digits) = (percent * 10, digits + 1) }
    let whole = Int64(percent.rounded())
    guard digits > 0 else { return "\(whole)%" }
    var unit: Int64 = 1
    for _ in 0..<digits { unit *= 10 }
    let fraction = String(whole % unit)
    return "\(whole / unit).\(String(repeating: "0", count: max(0, digits - fraction.count)))\(fraction)%"
  }

  /// `1 host`, `2 hosts`.
  static func count(_ count: Int, _ thing: String) -> String { "\(count) \(thing)\(count == 1 ? "" : "s")" }

  /// A size in bytes with its unit.
  static func bytes(_ bytes: Int64) -> String {
    for (unit, size) in [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)] as [(String, Int64)]
    where bytes >= size {
      return "\(bytes / size).\(bytes % size * 10 / size) \(unit)"
    }
    return "\(bytes) bytes"
  }

  /// A rollout's state.
  static func state(_ state: RolloutState) -> String {
    state.rawValue.split(separator: "_").joined(separator: " ")
  }

  /// A hook and its playbook.
  static func name(_ hook: HookSnapshot) -> String {
    "\(hook.hook.rawValue) \(escapedForTerminal(hook.playbook))"
  }

  /// That a wave waits for a hook that has begun.
  static func waiting(for hook: HookSnapshot, wave: String) -> String {
    "wave \(wave) waits: \(name(hook)) on \(count(hook.hosts, "host"))"
  }

  /// How a hook stands; nil is for one that is being run.
  static func state(_ outcome: HookOutcome?) -> String {
    switch outcome {
    case nil: "running"
    case .passed: "passed"
    case .failed: "failed"
    case .cancelled: "cancelled"
    }
  }

  /// The counts that are not 0, the most telling first.
  static func counts(_ counts: HostCounts, dot: String) -> String {
    let all = [
      (counts.promoted, "promoted"), (counts.inFlight, "in flight"), (counts.failed, "failed"),
      (counts.restored, "restored"), (counts.quarantined, "quarantined"), (counts.unreachable, "unreachable"),
      (counts.skipped, "skipped"), (counts.pending, "pending"),
    ]
    return all.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: " \(dot) ")
  }
}

extension HostPhase {
  /// How lines show a host in this phase.
  var style: Style {
    switch self {
    case .promoted: .good
    case .failed, .quarantined, .unreachable: .bad
    case .restoring, .restored: .warning
    case .pending, .skipped: .faint
    case .preflight, .staging, .starting, .gating, .flipping, .soaking: .active
    }
  }

  /// The sign in front of such a host.
  func sign(_ symbols: Symbols) -> String {
    switch self {
    case .promoted: symbols.done
    case .failed, .quarantined, .unreachable, .restored: symbols.failed
    case .pending, .skipped: symbols.waiting
    case .preflight, .staging, .starting, .gating, .flipping, .soaking, .restoring: symbols.active
    }
  }
}

extension RolloutState {
  /// How lines show a rollout in this state.
  var style: Style {
    switch self {
    case .promoted: .good
    case .running: .active
    case .paused, .awaitingApproval, .promotedWithExceptions, .rollingBack, .rolledBack, .aborted: .warning
    case .rollbackIncomplete, .halted: .bad
    }
  }
}

extension WaveSnapshot.State {
  /// How lines show a wave in this state.
  var style: Style {
    switch self {
    case .pending: .faint
    case .running: .active
    case .done: .good
    case .failed: .bad
    }
  }

  /// The sign in front of such a wave.
  func sign(_ symbols: Symbols) -> String {
    switch self {
    case .pending: symbols.waiting
    case .running: symbols.active
    case .done: symbols.done
    case .failed: symbols.failed
    }
  }
}
