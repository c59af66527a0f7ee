import Glibc

/// What systemd says of a service beside ``UnitProperties``.
public struct ServiceState: Hashable, Sendable {
  /// The service.
  public var properties: UnitProperties
  /// `Type=`; empty where the unit is not loaded.
  public var type = ""
  /// When it came to its active state: microseconds since 1970 by the host's clock; 0 where it was never in another one.
  public var since: UInt64 = 0
  /// How long ago that was, in microseconds; time asleep does not count.
  public var age: UInt64 = 0
}

extension SystemBus {
  /// A unit's own name, which an alias leads to.
  public func name(of unit: String) throws(BusError) -> String {
    try property("Id", of: try load(unit), Self.unitInterface, "s").readText()
  }

  /// A service as it is now, by its own name.
  public func service(_ name: String) throws(BusError) -> ServiceState {
    guard let properties = try services([name]).first else {
      throw BusError(.other, "systemd, ListUnitsByNames: it says nothing of \(name)")
    }
    var state = ServiceState(properties: properties)
    guard properties.loadState == "loaded" else { return state }
    let path = properties.path
    state.type = try property("Type", of: path, Self.serviceInterface, "s").readText()
    let stamp = Self.stamp(of: properties.activeState)
    state.since = try property(stamp, of: path, Self.unitInterface, "t").readUInt64()
    guard state.since > 0 else { return state }
    let moment = try property("\(stamp)Monotonic", of: path, Self.unitInterface, "t").readUInt64()
    let now = Self.monotonicNow()
    state.age = now > moment ? now - moment : 0
    return state
  }

  /// The property that says when a unit came to such a state.
  private static func stamp(of activeState: String) -> String {
    switch activeState {
    case "active", "reloading": "ActiveEnterTimestamp"
    case "activating": "InactiveExitTimestamp"
    case "deactivating": "ActiveExitTimestamp"
    default: "InactiveEnterTimestamp"
    }
  }

  private static func monotonicNow() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(clamping: time.tv_sec) * 1_000_000 + UInt64(clamping: time.tv_nsec) / 1000
  }
}
