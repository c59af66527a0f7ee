import Glibc
import RolloutModel

/// The host's clock since boot: runs on through a suspend and is not moved by anybody.
package enum HostClock {
  /// Milliseconds since boot.
  package static func now() -> Moment {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return Moment(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }
}

/// A point in time until which something may take.
package struct Deadline: Sendable {
  /// The point.
  package let moment: Moment

  /// The deadline this long from now.
  package init(in span: Span) { moment = HostClock.now() + span }

  /// What is left; zero where it has passed.
  package var remaining: Span { moment.since(HostClock.now()) }

  /// Whether it has passed.
  package var passed: Bool { HostClock.now() >= moment }

  /// What is left, for `poll`, at most `cap`; rounded up, so that a wait never turns into a spin.
  package func pollTimeout(cap: Int64 = 60_000) -> Int32 {
    Int32(clamping: min(remaining.milliseconds + 1, cap))
  }
}
