import Glibc
import RolloutModel
import SystemdBus

/// What the way through Switchyard's own agent needs on a host beside the agent itself. Who prepares hosts puts it there.
struct AgentDoor {
  let files: HostFiles
  let bus: SystemBus

  private static let socket = "switchyard-host.socket"
  /// The unit of its conversations, which runs the host's own copy of the host program.
  static let service = "switchyard-host@.service"

  /// Takes it away; what of it is gone already is none the worse. Conversations that the socket began go on.
  func close() throws(HostFailure) {
    var about = stat()
    let isInstalled = lstat("\(files.units)/\(Self.socket)", &about) == 0
    try asking("closing \(Self.socket)") { () throws(BusError) in
      if isInstalled { try bus.disable([Self.socket]) }
      _ = try bus.stop(Self.socket, deadline: .seconds(20))
    }
    let units = try FileTree.makeFolder(files.units)
    var isGone = false
    for unit in [Self.socket, Self.service] where try FileTree.remove(unit, in: units) { isGone = true }
    if isGone {
      try FileTree.sync(units, what: "removing \(Self.socket)")
      try asking("removing \(Self.socket)") { () throws(BusError) in try bus.reload() }
    }
    guard let slash = files.agentSettings.lastIndex(of: "/") else { return }
    let above = try FileTree.makeFolder(String(files.agentSettings[..<slash]))
    let name = String(files.agentSettings[files.agentSettings.index(after: slash)...])
    if try FileTree.remove(name, in: above) {
      try FileTree.sync(above, what: "removing \(files.agentSettings)")
    }
  }
}
