import CSystemd

/// What a service tells systemd about itself (`Type=notify`, `WatchdogSec=`). Outside systemd nobody listens, and nothing happens.
/// Each call may wait for systemd to take the datagram: none of them belongs on the cooperative pool.
public enum ServiceNotice {
  /// The service serves from now on.
  public static func ready() throws(BusError) { try tell("READY=1") }

  /// The service is on its way to its end.
  public static func stopping() throws(BusError) { try tell("STOPPING=1") }

  /// The service is still alive.
  public static func alive() throws(BusError) { try tell("WATCHDOG=1") }

  /// How long systemd waits for the next sign of life before it ends the service; nil where it waits for none.
  public static var watchdog: Duration? {
    var microseconds: UInt64 = 0
    guard sd_watchdog_enabled(0, &microseconds) > 0, let count = Int64(exactly: microseconds), count > 0
    else { return nil }
    return .microseconds(count)
  }

  private static func tell(_ state: String) throws(BusError) {
    let code = sd_notify(0, state)
    guard code >= 0 else { throw BusError("telling systemd \(state)", code: code) }
  }
}
