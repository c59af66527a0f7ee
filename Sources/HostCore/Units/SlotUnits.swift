import Glibc
import HostMachine
import RolloutModel
import SystemdBus

/// The units and environments of an agent's slots, as files and in systemd.
struct SlotUnits {
  let files: HostFiles
  let bus: SystemBus
  let agent: AgentName

  /// Throws where a unit of the slot's name is not ours; whoever's it is keeps it.
  func claim(_ slot: Slot) throws(HostFailure) {
    if let foreign = try foreign(slot) {
      throw HostFailure(
        .foreignUnit, "\(agent.unit(slot)) is not ours: \(foreign)",
        hint: "give the agent another name, or remove that unit")
    }
  }

  /// Where a unit of the slot's name is that is not ours; nil where there is none.
  func foreign(_ slot: Slot) throws(HostFailure) -> String? {
    let name = agent.unit(slot)
    let path = "\(files.units)/\(name)"
    switch try kind(of: path) {
    case .none: break
    case .some(S_IFREG):
      let text = try read(path)
      guard text.starts(with: SlotText.mark(agent, slot).utf8) else { return path }
    case .some: return path
    }
    let known = try asking("looking for \(name)") { () throws(BusError) in try bus.file(of: name) }
    return known.isEmpty || known == path ? nil : escapedForTerminal(known)
  }

  /// Writes unit, addition and environment; systemd reads its files anew only where it would otherwise miss a change.
  func write(_ text: SlotText) throws(HostFailure) {
    let name = agent.unit(text.slot)
    let units = try FileTree.makeFolder(files.units)
    let settings = try FileTree.makeFolder(files.settings(of: agent))
    try replace(
      text.environment, "\(text.slot.rawValue).env", in: settings, at: files.settings(of: agent), 0o600)
    try replace(text.unit, name, in: units, at: files.units, 0o644)
    let folder = "\(files.units)/\(name).d"
    try replace(text.addition, SlotUnits.addition, in: try FileTree.makeFolder(folder), at: folder, 0o644)
    try settle(name)
  }

  /// Removes what ``write(_:)`` wrote; what others added to the unit stays.
  func empty(_ slot: Slot) throws(HostFailure) {
    let name = agent.unit(slot)
    if try kind(of: files.settings(of: agent)) != nil {
      try FileTree.remove("\(slot.rawValue).env", in: try FileTree.openFolder(files.settings(of: agent)))
    }
    guard try kind(of: files.units) != nil else { return }
    let units = try FileTree.openFolder(files.units)
    try FileTree.remove(name, in: units)
    if let folder = try FileTree.openFolder("\(name).d", in: units) {
      try FileTree.remove(SlotUnits.addition, in: folder)
      // It stays where somebody else's additions are in it.
      _ = unlinkat(units.number, "\(name).d", AT_REMOVEDIR)
    }
    try FileTree.sync(units, what: "writing \(files.units)")
    // A unit that failed would be kept in memory with its old text.
    try asking("forgetting \(name)") { () throws(BusError) in try bus.resetFailed(name) }
  }

  private static let addition = "50-switchyard.conf"

  private func settle(_ name: String) throws(HostFailure) {
    try asking("loading \(name)") { () throws(BusError) in
      if try bus.isStale(name) { try bus.reload() }
    }
  }

  private func kind(of path: String) throws(HostFailure) -> mode_t? {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw systemFailure("looking for \(path)")
    }
    return status.st_mode & S_IFMT
  }
}

/// The content of a small file.
func read(_ path: String) throws(HostFailure) -> [UInt8] {
  let number = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
  guard number >= 0 else { throw systemFailure("opening \(path)") }
  let file = Descriptor(owning: number)
  var bytes: [UInt8] = []
  while let piece = try readOnce(file.number, limit: 256 * 1024, what: "reading \(path)"), !piece.isEmpty {
    bytes += piece
    guard bytes.count <= 64 * 1024 * 1024 else {
      throw HostFailure(.invalid, "\(path) is longer than 64 MiB")
    }
  }
  return bytes
}

/// Writes a file unless it's so already; true where it was written.
@discardableResult
func replace(
  _ text: String, _ name: String, in folder: Descriptor, at path: String, _ mode: mode_t
) throws(HostFailure) -> Bool {
  // Where it can't be read it's written anew, and that says what is wrong.
  if let present = try? read("\(path)/\(name)"), present.elementsEqual(text.utf8) { return false }
  try FileTree.write(Array(text.utf8), to: name, in: folder, mode: mode)
  return true
}

/// Does something with systemd; its failure becomes the host's.
func asking<Value>(_ what: String, _ body: () throws(BusError) -> Value) throws(HostFailure) -> Value {
  do throws(BusError) { return try body() } catch {
    throw HostFailure(
      error.kind == .timedOut ? .deadline : .system, "\(what): \(escapedForTerminal(error.message))",
      hint: error.kind == .denied ? "the host program must run as root to change a host" : "")
  }
}
