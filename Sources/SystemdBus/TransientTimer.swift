extension SystemBus {
  /// Runs a command once, this long from now, by a transient timer and service of this name (`NAME.timer`, `NAME.service`).
  /// A timer of that name which has not yet run is replaced: for that moment there is none. Where its service is running,
  /// throws `.unitExists`. Time asleep does not count, and the timer does not survive a reboot.
  public func startTransientTimer(
    _ name: String, afterMicroseconds delay: UInt64, argv: [String], description: String,
    deadline: Duration = .seconds(10)
  ) throws(BusError) {
    let end = ContinuousClock.now + deadline
    if try isRunning("\(name).service") {
      throw BusError(.unitExists, "systemd, starting \(name).timer: \(name).service is running")
    }
    try stopTransientTimer(name, deadline: deadline)
    while true {
      do throws(BusError) {
        let job = try startTimer(name, delay, argv, description)
        let result = try result(of: job, "starting \(name).timer", until: end)
        guard case .failed(let why) = result else { return }
        throw BusError(.other, "systemd, starting \(name).timer: the job ended as \(why)")
      } catch {
        // The units of the one before stay loaded for a moment after they have stopped.
        guard error.kind == .unitExists, ContinuousClock.now + .milliseconds(50) < end,
          try !isRunning("\(name).service")
        else { throw error }
        _ = try nextMessage(until: ContinuousClock.now + .milliseconds(20))
      }
    }
  }

  /// Stops a transient timer; its service, where that is running, goes on. Where there is none, nothing happens.
  public func stopTransientTimer(_ name: String, deadline: Duration = .seconds(10)) throws(BusError) {
    let result = try stop("\(name).timer", deadline: deadline)
    if case .failed(let why) = result {
      throw BusError(.other, "systemd, stopping \(name).timer: the job ended as \(why)")
    }
    try resetFailed("\(name).timer")
    if try !isRunning("\(name).service") { try resetFailed("\(name).service") }
  }

  /// Whether a unit is up or on its way. Asks for units that are loaded only: loading one that is just gone would be a complaint
  /// in the journal.
  public func isRunning(_ unit: String) throws(BusError) -> Bool {
    do throws(BusError) {
      let path = try call("GetUnit") { message throws(BusError) in try message.append(unit) }.readPath()
      let state = try property("ActiveState", of: path, "org.freedesktop.systemd1.Unit", "s").readText()
      return state != "inactive" && state != "failed"
    } catch {
      guard error.kind == .noSuchUnit else { throw error }
      return false
    }
  }

  private func startTimer(
    _ name: String, _ delay: UInt64, _ argv: [String], _ description: String
  ) throws(BusError) -> String {
    let timer: [(String, BusValue)] = [
      ("Description", .text(description)), ("OnActiveSec", .number(delay)),
      ("AccuracyUSec", .number(50_000)), ("RemainAfterElapse", .flag(false)),
      ("CollectMode", .text("inactive-or-failed")),
    ]
    let service: [(String, BusValue)] = [
      ("Description", .text(description)), ("Type", .text("oneshot")), ("ExecStart", .command(argv)),
      ("CollectMode", .text("inactive-or-failed")),
    ]
    let reply = try call("StartTransientUnit") { message throws(BusError) in
      try message.append("\(name).timer")
      try message.append("replace")
      try message.append(properties: timer)
      try message.container("a", "(sa(sv))") { () throws(BusError) in
        try message.container("r", "sa(sv)") { () throws(BusError) in
          try message.append("\(name).service")
          try message.append(properties: service)
        }
      }
    }
    return try reply.readPath()
  }
}

extension BusMessage {
  fileprivate func append(properties: [(String, BusValue)]) throws(BusError) {
    try container("a", "(sv)") { () throws(BusError) in
      for (name, value) in properties { try append(property: name, value) }
    }
  }
}
