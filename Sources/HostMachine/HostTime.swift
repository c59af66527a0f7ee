import RolloutModel

/// The host's clock: moments count from its boot, so they mean nothing in another one.
public struct HostNow: Hashable, Sendable, Codable {
  /// The boot.
  public var bootID: String
  /// Time since the boot.
  public var moment: Moment

  /// A reading of the clock.
  public init(bootID: String, moment: Moment) {
    self.bootID = bootID
    self.moment = moment
  }
}

/// A point in the life of one boot.
public struct HostDeadline: Hashable, Sendable, Codable {
  /// The boot.
  public var bootID: String
  /// The moment.
  public var at: Moment

  /// The deadline `span` from now.
  public init(_ now: HostNow, plus span: Span) {
    bootID = now.bootID
    at = now.moment + span
  }

  /// Whether it has passed; one of another boot has.
  public func hasPassed(at now: HostNow) -> Bool { bootID != now.bootID || at <= now.moment }

  /// The moment in the present boot when it has passed.
  func moment(at now: HostNow) -> Moment { bootID == now.bootID ? at : HostDeadline.longPast }

  static let longPast = Moment(milliseconds: 0)
}

/// A side that lost traffic: its open connections may stay until `until`.
public struct Drain: Hashable, Sendable, Codable {
  /// The side.
  public var side: Side
  /// When it may be stopped.
  public var until: HostDeadline
  /// Whether it's stopped and emptied then; else it's only kept from being stopped before.
  public var empties: Bool
}

/// How much longer a retained side is kept. Counted in the host's time up, independent of its wall clock; a reboot gives
/// back at most what passed since the last look, so that nothing is ever retired early.
public struct RetentionClock: Hashable, Sendable, Codable {
  /// What was left at `since`.
  public var left: Retention
  /// When the clock was set.
  public var since: HostDeadline
  /// Whether the retained unit has been stopped.
  public var stopped: Bool

  static let lookEvery = Span.seconds(3600)

  init(_ retention: Retention, now: HostNow) {
    left = Retention(running: retention.running, installed: max(retention.running, retention.installed))
    since = HostDeadline(now, plus: .zero)
    stopped = false
  }

  /// What is left now.
  func left(at now: HostNow) -> Retention {
    guard since.bootID == now.bootID else { return left }
    let passed = now.moment.since(since.at)
    return Retention(
      running: Span(milliseconds: left.running.milliseconds - passed.milliseconds),
      installed: Span(milliseconds: left.installed.milliseconds - passed.milliseconds))
  }

  /// Counted from the last look, so that one that was missed is seen to be late.
  func nextLook(at now: HostNow) -> Moment {
    guard since.bootID == now.bootID else { return HostDeadline.longPast }
    return since.at + min(stopped ? left.installed : left.running, RetentionClock.lookEvery)
  }

  /// Writes down what has passed.
  mutating func settle(at now: HostNow) {
    left = left(at: now)
    since = HostDeadline(now, plus: .zero)
  }
}
