import Glibc
import RolloutModel
import SystemdBus

/// What the way through Switchyard's own agent needs on a host beside the agent itself. Who prepares hosts puts it there.
struct AgentDoor {
  let files: HostFiles
  let bus: any UnitManager

  private static let sockets = ["switchyard-host.socket", "switchyard-playbook.socket"]
  /// The units of conversations, which run the host's own copy of the host program.
  private static let services = ["switchyard-host@.service", "switchyard-playbook@.service"]

  /// Whether it runs the host's own copy of the host program. A package's units lie elsewhere, and run the package's program.
  var runsOwnProgram: Bool {
    var about = stat()
    return Self.services.contains { lstat("\(files.units)/\($0)", &about) == 0 }
  }

  /// Takes it away; what of it is gone already is none the worse. Conversations that the sockets began go on.
  func close() throws(HostFailure) {
    for socket in Self.sockets { try close(socket) }
    let units = try FileTree.makeFolder(files.units)
    var isGone = false
    for unit in Self.sockets + Self.services where try FileTree.remove(unit, in: units) { isGone = true }
    if isGone {
      try FileTree.sync(units, what: "removing the agent's sockets")
      try asking("removing the agent's sockets") { () throws(BusError) in try bus.reload() }
    }
    try FileTree.removeIfEmpty(files.sockets)
    for path in [files.agentSettings, files.caches] { try remove(path) }
  }

  private func close(_ socket: String) throws(HostFailure) {
    try asking("closing \(socket)") { () throws(BusError) in
      // A package's socket stays where it is, and must not be back after a boot. What has no file can't be disabled.
      if try !bus.file(of: socket).isEmpty { try bus.disable([socket]) }
      _ = try bus.stop(socket, deadline: .seconds(20))
    }
  }

  private func remove(_ path: String) throws(HostFailure) {
    guard let slash = path.lastIndex(of: "/") else { return }
    let above = try FileTree.makeFolder(String(path[..<slash]))
    if try FileTree.remove(String(path[path.index(after: slash)...]), in: above) {
      try FileTree.sync(above, what: "removing \(path)")
    }
  }
}
