extension SystemBus {
  /// Lets systemd read all unit files anew.
  public func reload(deadline: Duration = .seconds(60)) throws(BusError) {
    _ = try call("Reload", deadline: deadline)
  }

  /// Whether the host is going down or rebooting: what happens to units then is no failure of theirs.
  public func isShuttingDown() throws(BusError) -> Bool {
    try property("SystemState", of: Self.managerPath, Self.manager, "s").readText() == "stopping"
  }

  /// systemd's version, as it writes it itself (`252.39-1~deb12u2`).
  public func version() throws(BusError) -> String {
    try property("Version", of: Self.managerPath, Self.manager, "s").readText()
  }

  /// Enables unit files, given by path or name; enabled already, nothing happens. systemd must read its files anew afterwards.
  public func enable(_ files: [String]) throws(BusError) {
    _ = try call("EnableUnitFiles") { message throws(BusError) in
      try message.append(files)
      try message.append(false)
      try message.append(true)
    }
  }

  /// Disables unit files, given by name. systemd must read its files anew afterwards.
  public func disable(_ files: [String]) throws(BusError) {
    _ = try call("DisableUnitFiles") { message throws(BusError) in
      try message.append(files)
      try message.append(false)
    }
  }
}
