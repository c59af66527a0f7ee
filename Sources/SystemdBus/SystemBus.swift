import CSystemd
import Glibc

/// A connection to the host's systemd: directly for root, so that it needs no D-Bus daemon (at boot, or when that is sick),
/// else over the system bus. Synchronous; every call gives up after its time. Not for use from several threads.
public final class SystemBus {
  static let manager = "org.freedesktop.systemd1.Manager"
  static let managerPath = "/org/freedesktop/systemd1"
  private static let service = "org.freedesktop.systemd1"

  /// The most that a call may take that only asks.
  let patience: Duration
  private var bus: OpaquePointer?

  /// Connects. `deadline` is the most that each call which only asks may take.
  public init(deadline: Duration = .seconds(10)) throws(BusError) {
    patience = deadline
    bus = try Self.connect()
    try subscribe()
  }

  deinit {
    if let bus { sd_bus_flush_close_unref(bus) }
  }

  /// Calls a method; `fill` appends its arguments.
  func call(
    _ member: String, path: String = SystemBus.managerPath, interface: String = SystemBus.manager,
    deadline: Duration? = nil, _ fill: (BusMessage) throws(BusError) -> Void = { _ in }
  ) throws(BusError) -> BusMessage {
    let bus = try connected()
    var pointer: OpaquePointer?
    let made = sd_bus_message_new_method_call(bus, &pointer, Self.service, path, interface, member)
    guard made >= 0, let pointer else { throw BusError("calling \(member)", code: made) }
    let message = BusMessage(owning: pointer)
    try fill(message)
    var error = sd_bus_error()
    defer { sd_bus_error_free(&error) }
    var reply: OpaquePointer?
    let code = sd_bus_call(bus, message.pointer, microseconds(deadline ?? patience), &error, &reply)
    guard code >= 0, let reply else { throw BusError("systemd, \(member)", code: code, error: error) }
    return BusMessage(owning: reply)
  }

  /// The next message that is no answer to a call; nil where none has come by the deadline.
  func nextMessage(until deadline: ContinuousClock.Instant) throws(BusError) -> BusMessage? {
    guard let bus else { throw BusError(.disconnected, "the connection to systemd is closed") }
    while true {
      var pointer: OpaquePointer?
      let code = sd_bus_process(bus, &pointer)
      if let pointer { return BusMessage(owning: pointer) }
      guard code >= 0 else { throw BusError("waiting for systemd", code: code) }
      if code > 0 { continue }
      let left = ContinuousClock.now.duration(to: deadline)
      guard left > .zero else { return nil }
      let waited = sd_bus_wait(bus, microseconds(left))
      guard waited >= 0 || waited == -EINTR else { throw BusError("waiting for systemd", code: waited) }
    }
  }

  /// The connection; a new one where systemd closed the old one, as it does when it executes itself anew. What came in the
  /// meantime is dropped: signals count only while a job is waited for.
  private func connected() throws(BusError) -> OpaquePointer {
    if let bus, sd_bus_is_open(bus) > 0 {
      while true {
        var pointer: OpaquePointer?
        let code = sd_bus_process(bus, &pointer)
        if let pointer { sd_bus_message_unref(pointer) }
        if code == 0 { return bus }
        if code < 0 { break }
      }
    }
    if let bus { sd_bus_close_unref(bus) }
    bus = nil
    let fresh = try Self.connect()
    bus = fresh
    try subscribe()
    return fresh
  }

  private static func connect() throws(BusError) -> OpaquePointer {
    if geteuid() == 0, let direct = directly() { return direct }
    var bus: OpaquePointer?
    let code = sd_bus_open_system(&bus)
    guard code >= 0, let bus else { throw BusError("connecting to the system bus", code: code) }
    return bus
  }

  /// Nil where systemd's own socket is not there or does not answer.
  private static func directly() -> OpaquePointer? {
    var bus: OpaquePointer?
    guard sd_bus_new(&bus) >= 0, let bus else { return nil }
    if sd_bus_set_address(bus, "unix:path=/run/systemd/private") >= 0, sd_bus_start(bus) >= 0 { return bus }
    sd_bus_unref(bus)
    return nil
  }

  /// Without this systemd sends no signals about jobs; the match comes first, so that none is missed.
  private func subscribe() throws(BusError) {
    guard let bus else { return }
    let code = switchyard_match_signal(bus, Self.service, Self.managerPath, Self.manager, "JobRemoved")
    guard code >= 0 else { throw BusError("listening to systemd", code: code) }
    var pointer: OpaquePointer?
    let made = sd_bus_message_new_method_call(
      bus, &pointer, Self.service, Self.managerPath, Self.manager, "Subscribe")
    guard made >= 0, let pointer else { throw BusError("calling Subscribe", code: made) }
    let message = BusMessage(owning: pointer)
    var error = sd_bus_error()
    defer { sd_bus_error_free(&error) }
    let called = sd_bus_call(bus, message.pointer, microseconds(patience), &error, nil)
    guard called >= 0 else { throw BusError("systemd, Subscribe", code: called, error: error) }
  }
}

/// Never 0: libsystemd takes that for its own default of 25 seconds.
private func microseconds(_ duration: Duration) -> UInt64 {
  let (seconds, attoseconds) = duration.components
  guard seconds >= 0, attoseconds >= 0 else { return 1 }
  let (whole, over) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000)
  guard !over else { return UInt64.max - 1 }
  let (sum, overSum) = whole.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000_000))
  return overSum ? UInt64.max - 1 : max(sum, 1)
}
