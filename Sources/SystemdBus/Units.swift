/// What systemd says of a service.
public struct UnitProperties: Hashable, Sendable {
  /// The unit's name.
  public var unit: String
  /// Its object's path.
  let path: String
  /// `loaded`, `not-found`, `masked`, `bad-setting`, `error`.
  public var loadState: String
  /// `active`, `activating`, `deactivating`, `failed`, `inactive`, `reloading`.
  public var activeState: String
  /// `running`, `auto-restart`, `dead`, …
  public var subState: String
  /// The invocation's ID, 32 hexadecimal digits; empty where it never ran in this boot.
  public var invocation = ""
  /// Automatic restarts since the last start by request.
  public var restarts = 0
  /// `success`, `exit-code`, `signal`, `timeout`, …
  public var result = ""
  /// The main process' exit code or signal number.
  public var exitStatus = 0
  /// The main process; 0 where there is none.
  public var mainPID = 0
}

/// How a job ended.
public enum JobResult: Hashable, Sendable {
  /// The unit is where the job was to bring it.
  case done
  /// Not done: `failed`, `timeout`, `dependency`, `canceled`, `skipped`, …, in systemd's word.
  case failed(String)
}

extension SystemBus {
  static let unitInterface = "org.freedesktop.systemd1.Unit"
  static let serviceInterface = "org.freedesktop.systemd1.Service"

  /// Services as they are now, in this order; one that does not exist has the load state `not-found`. Asks for no more than is
  /// told: each property costs the host's first process a turn, and units are looked at again and again.
  public func services(_ names: [String]) throws(BusError) -> [UnitProperties] {
    let listed = try call("ListUnitsByNames") { message throws(BusError) in try message.append(names) }
    var found: [UnitProperties] = []
    try listed.eachStruct("ssssssouso") { () throws(BusError) in
      let name = try listed.readText()
      try listed.skip("s")
      let states = (try listed.readText(), try listed.readText(), try listed.readText())
      try listed.skip("s")
      let path = try listed.readPath()
      try listed.skip("uso")
      found.append(
        UnitProperties(
          unit: name, path: path, loadState: states.0, activeState: states.1, subState: states.2))
    }
    var services: [UnitProperties] = []
    for name in names {
      guard var service = found.first(where: { $0.unit == name }) else {
        throw BusError(.other, "systemd, ListUnitsByNames: it says nothing of \(name)")
      }
      if service.loadState == "loaded" { try complete(&service) }
      services.append(service)
    }
    return services
  }

  private func complete(_ service: inout UnitProperties) throws(BusError) {
    let path = service.path
    func own(_ name: String, _ signature: String) throws(BusError) -> BusMessage {
      try property(name, of: path, Self.serviceInterface, signature)
    }
    service.invocation = Self.hex(
      try property("InvocationID", of: path, Self.unitInterface, "ay").readBytes())
    service.restarts = Int(try own("NRestarts", "u").readUInt32())
    service.result = try own("Result", "s").readText()
    service.exitStatus = Int(try own("ExecMainStatus", "i").readInt32())
    service.mainPID = Int(try own("MainPID", "u").readUInt32())
  }

  /// The file that a unit comes from; empty where it has none.
  public func file(of unit: String) throws(BusError) -> String {
    try property("FragmentPath", of: try load(unit), Self.unitInterface, "s").readText()
  }

  /// Whether systemd must read its files anew to know the unit as it is on disk.
  public func isStale(_ unit: String) throws(BusError) -> Bool {
    let path = try load(unit)
    let isNotFound =
      try property("LoadState", of: path, Self.unitInterface, "s").readText() == "not-found"
    return try isNotFound
      ? true : property("NeedDaemonReload", of: path, Self.unitInterface, "b").readFlag()
  }

  func load(_ unit: String) throws(BusError) -> String {
    try call("LoadUnit") { message throws(BusError) in try message.append(unit) }.readPath()
  }

  /// Starts a unit and waits for the end of the job. Throws `.timedOut` where it has not ended by the deadline: it goes on.
  public func start(_ unit: String, deadline: Duration) throws(BusError) -> JobResult {
    try job("StartUnit", unit, deadline: deadline)
  }

  /// Stops a unit; with `wait`, until the job has ended. One that systemd doesn't know is stopped already.
  public func stop(_ unit: String, deadline: Duration, wait: Bool = true) throws(BusError) -> JobResult {
    do throws(BusError) {
      return try job("StopUnit", unit, deadline: deadline, wait: wait)
    } catch {
      guard error.kind == .noSuchUnit else { throw error }
      return .done
    }
  }

  /// Starts a unit, or stops and starts it where it is up, and waits for the end of the job.
  public func restart(_ unit: String, deadline: Duration) throws(BusError) -> JobResult {
    try job("RestartUnit", unit, deadline: deadline)
  }

  /// Forgets that a unit failed, and its count of restarts; done where there is nothing to forget.
  public func resetFailed(_ unit: String) throws(BusError) {
    do throws(BusError) {
      _ = try call("ResetFailedUnit") { message throws(BusError) in try message.append(unit) }
    } catch {
      guard error.kind == .noSuchUnit else { throw error }
    }
  }

  func property(
    _ name: String, of path: String, _ interface: String, _ signature: String
  ) throws(BusError) -> BusMessage {
    let reply = try call("Get", path: path, interface: "org.freedesktop.DBus.Properties") {
      message throws(BusError) in
      try message.append(interface)
      try message.append(name)
    }
    try reply.enterVariant(signature)
    return reply
  }

  private func job(
    _ member: String, _ unit: String, deadline: Duration, wait: Bool = true
  ) throws(BusError) -> JobResult {
    let end = ContinuousClock.now + deadline
    let reply = try call(member, deadline: deadline) { message throws(BusError) in
      try message.append(unit)
      try message.append("replace")
    }
    guard wait else { return .done }
    return try result(of: try reply.readPath(), "\(member) \(unit)", until: end)
  }

  /// Waits for the end of a job that was just begun.
  func result(
    of job: String, _ what: String, until end: ContinuousClock.Instant
  ) throws(BusError) -> JobResult {
    while let message = try nextMessage(until: end) {
      guard message.isSignal(SystemBus.manager, "JobRemoved") else { continue }
      _ = try message.readUInt32()
      guard try message.readPath() == job else { continue }
      _ = try message.readText()
      let result = try message.readText()
      return result == "done" ? .done : .failed(result)
    }
    throw BusError(.timedOut, "systemd, \(what): the job had not ended in time")
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    // A unit that never ran has no ID, or one of zeros.
    guard bytes.contains(where: { $0 != 0 }) else { return "" }
    return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
