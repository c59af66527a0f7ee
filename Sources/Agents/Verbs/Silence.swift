import Ports
import RolloutModel

/// The end of an agent that carried the order for it, which can be seen in no other way: the host says that nothing listens where it did. A
/// host that can't be reached says nothing of its agent, and one that crashed is started again after a second.
struct Silence {
  let look: any CertificateLook
  let time: any Timekeeper

  private static let looks = 4
  /// Together longer than the unit's RestartSec=1s.
  private static let pause = Span(milliseconds: 700)

  /// Whether nobody listens on a port, several times in a row.
  func isSeen(at port: Int, over channel: any HostChannel) async -> Bool {
    for place in 0..<Self.looks {
      if place > 0 {
        // Broken off, it looks once more at once.
        try? await time.sleep(Self.pause)
      }
      // Where there is no way to the port nothing is seen.
      guard let route = try? await channel.outsideRoute(port: port),
        await look.isClosed(at: route, within: .seconds(3))
      else { return false }
    }
    return true
  }
}
