import RolloutModel

/// Time and chance of the controller's machine.
public protocol Timekeeper: Sendable {
  /// Since the machine's boot; wall clock jumps don't touch it.
  var now: Moment { get }
  /// Milliseconds since 1970, for people only.
  var wall: Int64 { get }
  /// A random number.
  var chance: UInt64 { get }
  /// Waits; throws `CancellationError` where the task is cancelled meanwhile.
  func sleep(_ span: Span) async throws
}
