import RolloutModel

/// For how long something has been watched. A controller that was suspended has seen nothing meanwhile: that time is left
/// out, lest a version be judged, or cleared, by what nobody saw.
struct WatchedTime: Sendable {
  /// More than this between the end of one round and the answers of the next is not their doing.
  private let longestRound: Span
  private var lookedAt: Moment
  private var watched = Span.zero
  private var hasSlept = false

  /// What a round may take beside its interval and its probes.
  private static let slack = Span.seconds(5)
  /// More than this is not what is asked of the host between two rounds: a few requests, and connections for them.
  private static let longestChecks = Span.seconds(90)

  /// Nothing is watched yet. A probe may wait for its turn for a timeout, be asked for one, and see a tunnel's fate for half of
  /// one: where many hosts hang at once, all of that happens, and it must not be taken for a sleep.
  init(_ gate: Gate, began: Moment) {
    longestRound = Span(
      milliseconds: gate.interval.milliseconds + 3 * gate.timeout.milliseconds + Self.slack.milliseconds)
    lookedAt = began
  }

  /// Takes in that a round's answers are there. False where somebody may have slept since the last one: then nobody knows
  /// when they were given.
  mutating func look(at now: Moment) -> Bool {
    pass(now, atMost: longestRound)
    defer { hasSlept = false }
    return !hasSlept
  }

  /// Takes in that what a round has led to is done.
  mutating func rest(at now: Moment) { pass(now, atMost: Self.longestChecks) }

  private mutating func pass(_ now: Moment, atMost longest: Span) {
    let gap = now.since(lookedAt)
    if gap > longest { hasSlept = true }
    // No more is counted than a round takes: a sleep may have fallen into anything.
    let counted = min(gap, longestRound)
    watched = Span(milliseconds: watched.milliseconds + counted.milliseconds)
    lookedAt = now
  }

  /// The time that was watched.
  func elapsed(at now: Moment) -> Span {
    Span(milliseconds: watched.milliseconds + min(now.since(lookedAt), longestRound).milliseconds)
  }

  /// What is left of `length`.
  func left(of length: Span, at now: Moment) -> Span {
    Span(milliseconds: length.milliseconds - elapsed(at: now).milliseconds)
  }
}
