import Glibc
import RolloutModel
import SystemdBus

/// The host's own copy of this program, and the units that run it. What a controller pushed may vanish; what undoes a flip
/// must not.
struct Installation {
  let files: HostFiles
  let bus: any UnitManager

  private static let restore = "switchyard-restore.service"
  private static let trafficGuard = "switchyard-guard.service"
  /// The link's name.
  private static let command = "switchyard-host"

  /// Several agents share it: one operation at a time.
  private var lockPath: String { "\(files.states)/.install.lock" }
  private static let lockWithin = Span.seconds(60)

  /// Makes the installation that of this program; does nothing where it is, and its guard runs.
  func bringUp() throws(HostFailure) {
    _ = try FileTree.makeFolder(files.states)
    let lock = try AgentLock(path: lockPath, within: Self.lockWithin)
    defer { withExtendedLifetime(lock) {} }
    let newProgram = try copyProgram()
    let units = try FileTree.makeFolder(files.units)
    let newRestore = try replace(ShippedUnits.restore, Self.restore, in: units, at: files.units, 0o644)
    let newGuard = try replace(
      ShippedUnits.trafficGuard, Self.trafficGuard, in: units, at: files.units, 0o644)
    let wanted = [Self.restore, Self.trafficGuard]
    let enabled = wanted.allSatisfy { access("\(files.units)/multi-user.target.wants/\($0)", F_OK) == 0 }
    if !newProgram, !newRestore, !newGuard, enabled, try guardRuns() { return }
    let result = try asking("setting up the host's own units") { () throws(BusError) in
      if !enabled { try bus.enable(wanted) }
      // Units that systemd has not read yet need no reload.
      var stale = false
      for unit in wanted where try bus.isStale(unit) { stale = true }
      if stale { try bus.reload() }
      return try bus.restart(Self.trafficGuard, deadline: .seconds(20))
    }
    if case .failed(let why) = result {
      throw HostFailure(
        .system, "\(Self.trafficGuard) did not start: \(escapedForTerminal(why))",
        hint: "see `journalctl -u \(Self.trafficGuard)` on the host")
    }
  }

  /// Removes all of it, unless an agent has come in the meantime. Where the way through Switchyard's own agent runs the program,
  /// that stays: who prepared the host put it there, and would be shut out without it.
  func takeDown() throws(HostFailure) {
    let wanted = [Self.restore, Self.trafficGuard]
    let isDoor = AgentDoor(files: files, bus: bus).runsOwnProgram
    let traces = wanted.map { "\(files.units)/\($0)" } + (isDoor ? [] : [files.programs]) + [lockPath]
    guard traces.contains(where: { isThere($0) }) else { return }
    let states = try FileTree.makeFolder(files.states)
    let lock = try AgentLock(path: lockPath, within: Self.lockWithin)
    defer { withExtendedLifetime(lock) {} }
    guard try knownAgents(files).isEmpty else { return }
    // Cut off before, some of it is gone already, and what has no file can't be disabled.
    let installed = wanted.filter { isThere("\(files.units)/\($0)") }
    try asking("removing the host's own units") { () throws(BusError) in
      if !installed.isEmpty { try bus.disable(installed) }
      for unit in wanted { _ = try bus.stop(unit, deadline: .seconds(20)) }
    }
    let units = try FileTree.makeFolder(files.units)
    for unit in wanted { try FileTree.remove(unit, in: units) }
    try asking("removing the host's own units") { () throws(BusError) in try bus.reload() }
    if !isDoor {
      try FileTree.remove("bin", in: try FileTree.makeFolder(files.store))
      try FileTree.removeIfEmpty(files.store)
    }
    unlinkCommand()
    // Last: while it is there, a removal that was cut off can be told from one that is done.
    try FileTree.remove(".install.lock", in: states)
    // An agent that has come since has its own in them.
    for folder in [files.settings, files.states] { try FileTree.removeIfEmpty(folder) }
  }

  private func isThere(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  /// Whether the guard is up and is the installed program, not one that was replaced under it.
  private func guardRuns() throws(HostFailure) -> Bool {
    let unit = try asking("looking at \(Self.trafficGuard)") { () throws(BusError) in
      try bus.services([Self.trafficGuard]).first
    }
    guard let unit, unit.activeState == "active", unit.mainPID > 0 else { return false }
    var running = stat()
    var installed = stat()
    // The files themselves are compared: a path may lead through links, and a replaced program keeps its path's name.
    guard stat("/proc/\(unit.mainPID)/exe", &running) == 0, stat(files.program, &installed) == 0 else {
      return false
    }
    return running.st_dev == installed.st_dev && running.st_ino == installed.st_ino
  }

  /// True where the program was another one.
  private func copyProgram() throws(HostFailure) -> Bool {
    let own = try FileTree.openFile("/proc/self/exe")
    let programs = try FileTree.makeFolder(files.programs)
    linkCommand()
    if try FileTree.isCopy("switchyard-host", in: programs, of: own) { return false }
    try FileTree.copy(own, to: "switchyard-host", in: programs, mode: 0o755)
    return true
  }

  /// For people: a link in the search path, unless something of that name is there already.
  private func linkCommand() {
    forPeople { () throws(HostFailure) in
      let commands = try FileTree.makeFolder(files.commands)
      guard symlinkat(files.program, commands.number, Self.command) == 0 || errno == EEXIST else {
        throw systemFailure("linking \(files.commands)/\(Self.command)")
      }
    }
  }

  /// Something else of that name stays, as it did when ours was installed.
  private func unlinkCommand() {
    guard ProcFiles.link("\(files.commands)/\(Self.command)") == files.program else { return }
    forPeople { () throws(HostFailure) in
      try FileTree.remove(Self.command, in: try FileTree.openFolder(files.commands))
    }
  }

  /// Does what no upgrade needs: where it can't be done, as on a read-only file system, the log says so and all goes on.
  private func forPeople(_ body: () throws(HostFailure) -> Void) {
    do throws(HostFailure) { try body() } catch {
      HostProgram.complain(
        HostFailure(
          error.code, "\(error.message); all goes on without",
          hint: "the link is for people alone: they can call \(files.program)"))
    }
  }
}
