import CoreFoundation
import Glibc
import Ports
import RolloutModel

/// The machine's own time and chance.
struct SystemTimekeeper: Timekeeper {
  var now: Moment { Moment(milliseconds: Self.read(CLOCK_BOOTTIME)) }

  var wall: Int64 { Self.read(CLOCK_REALTIME) }

  var chance: UInt64 { UInt64.random(in: .min ... .max) }

  func sleep(_ span: Span) async throws { try await ContinuousClock().sleep(for: span.duration) }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}
