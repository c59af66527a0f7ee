import SystemdBus

/// What installing and removing asks of systemd.
protocol UnitManager {
  /// Enables unit files, given by name. systemd must read its files anew afterwards.
  func enable(_ files: [String]) throws(BusError)
  /// Disables unit files, given by name. systemd must read its files anew afterwards.
  func disable(_ files: [String]) throws(BusError)
  /// Lets systemd read all unit files anew.
  func reload(deadline: Duration) throws(BusError)
  /// The file that a unit comes from; empty where it has none.
  func file(of unit: String) throws(BusError) -> String
  /// Whether systemd must read its files anew to know the unit as it is on disk.
  func isStale(_ unit: String) throws(BusError) -> Bool
  /// Stops a unit; with `wait`, until the job has ended. One that systemd doesn't know is stopped already.
  func stop(_ unit: String, deadline: Duration, wait: Bool) throws(BusError) -> JobResult
  /// Starts a unit, or stops and starts it where it is up, and waits for the end of the job.
  func restart(_ unit: String, deadline: Duration) throws(BusError) -> JobResult
  /// Services as they are now, in this order.
  func services(_ names: [String]) throws(BusError) -> [UnitProperties]
}

extension UnitManager {
  /// Lets systemd read all unit files anew, within the time that it takes on a busy host.
  func reload() throws(BusError) { try reload(deadline: .seconds(60)) }

  /// Stops a unit and waits for the end of the job.
  func stop(_ unit: String, deadline: Duration) throws(BusError) -> JobResult {
    try stop(unit, deadline: deadline, wait: true)
  }
}

extension SystemBus: UnitManager {}
