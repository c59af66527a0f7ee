import RolloutModel

/// For how long something has been watched. A controller that was suspended has seen nothing meanwhile: that time is left
/// out, lest a version be judged, or cleared, by what nobody saw.
struct WatchedTime: Sendable {
  /// More than this between two looks is not one round's doing.
  private let longestRound: Span
  private var lookedAt: Moment
  private var watched = Span.zero

  /// What a round may take beside its interval and its questions, for looking at the host itself.
  private static let slack = Span.seconds(5)

  /// Nothing is watched yet. The answers of a round, and those of the old version that they may be compared with, take a
  /// timeout each at the most.
  init(_ gate: Gate, began: Moment) {
    longestRound = Span(
      milliseconds: gate.interval.milliseconds + 2 * gate.timeout.milliseconds + Self.slack.milliseconds)
    lookedAt = began
  }

  /// Takes in that somebody looks. False where nobody had for longer than a round takes.
  mutating func look(at now: Moment) -> Bool {
    let gap = now.since(lookedAt)
    watched = elapsed(at: now)
    lookedAt = now
    return gap <= longestRound
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
