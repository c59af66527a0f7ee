import Glibc
import RolloutModel
import SystemdBus
import Testing

@testable import HostCore

/// systemd as it is asked when something is installed: it notes what it is told.
private final class PretendUnits: UnitManager {
  var told: [String] = []
  /// Units that a package has brought.
  var packaged: Set<String> = []
  let folder: String

  init(folder: String) { self.folder = folder }

  func enable(_ files: [String]) { told += files.map { "enable \($0)" } }
  func disable(_ files: [String]) { told += files.map { "disable \($0)" } }
  func reload(deadline: Duration) { told.append("reload") }
  func file(of unit: String) -> String {
    if access("\(folder)/\(unit)", F_OK) == 0 { return "\(folder)/\(unit)" }
    return packaged.contains(unit) ? "/lib/systemd/system/\(unit)" : ""
  }
  func isStale(_ unit: String) -> Bool { false }
  func stop(_ unit: String, deadline: Duration, wait: Bool) -> JobResult {
    told.append("stop \(unit)")
    return .done
  }
  func restart(_ unit: String, deadline: Duration) -> JobResult {
    told.append("restart \(unit)")
    return .done
  }
  func services(_ names: [String]) -> [UnitProperties] { [] }
}

/// A host's files below a folder, and its systemd.
private struct InstallationFixture {
  let folder: TemporaryFolder
  let files: HostFiles
  let units: PretendUnits
  var installation: Installation { Installation(files: files, bus: units) }
  var door: AgentDoor { AgentDoor(files: files, bus: units) }

  init() throws {
    folder = try TemporaryFolder()
    files = HostFiles(prefix: folder.path)
    units = PretendUnits(folder: files.units)
  }

  func isThere(_ path: String) -> Bool { access(path, F_OK) == 0 }

  func put(_ name: String, in path: String) throws {
    try FileTree.write(Array("something\n".utf8), to: name, in: try FileTree.makeFolder(path))
  }

  /// The files that are left, without the folders that every host has.
  var left: [String] {
    folder.listing().filter { $0.contains("switchyard") }
  }

  /// A file system that nobody can write to, while `body` runs.
  func withReadOnly(_ path: String, _ body: () throws -> Void) throws {
    try #require(geteuid() == 0, "needs root, to mount a folder read-only")
    _ = try FileTree.makeFolder(path)
    func run(_ argv: [String]) throws {
      let result = try HostCommand.run(argv, deadline: .seconds(10))
      try #require(result.status.isSuccess, "\(argv): \(result.lastWords)")
    }
    try run(["mount", "--bind", "-o", "ro", path, path])
    let outcome = Result { try body() }
    try run(["umount", path])
    try outcome.get()
  }
}

extension HostTests {
  @Suite("The host program's own installation") struct InstallationTests {
    @Test("It leaves nothing where no agent and no other way in needs it")
    func takenDown() throws {
      let fixture = try InstallationFixture()
      try fixture.installation.bringUp()
      #expect(fixture.isThere(fixture.files.program))
      #expect(ProcFiles.link("\(fixture.files.commands)/switchyard-host") == fixture.files.program)
      _ = try FileTree.makeFolder(fixture.files.settings)
      try fixture.installation.takeDown()
      #expect(fixture.left == [])
      #expect(fixture.units.told.contains("stop switchyard-guard.service"))
    }

    @Test(
      "The program stays while units of Switchyard's own agent run it, and goes with them",
      arguments: ["switchyard-host@.service", "switchyard-playbook@.service"])
    func doorStays(unit: String) throws {
      let fixture = try InstallationFixture()
      try fixture.put(unit, in: fixture.files.units)
      try fixture.installation.bringUp()
      try fixture.installation.takeDown()
      #expect(fixture.isThere(fixture.files.program))
      #expect(!fixture.isThere("\(fixture.files.units)/switchyard-guard.service"))
      try fixture.door.close()
      try fixture.installation.takeDown()
      #expect(fixture.left == [])
    }

    @Test("A link that can't be made or removed below /usr fails nothing")
    func readOnlyCommands() throws {
      let fixture = try InstallationFixture()
      let commands = fixture.files.commands
      try fixture.withReadOnly(commands) { try fixture.installation.bringUp() }
      #expect(fixture.isThere(fixture.files.program))
      #expect(ProcFiles.link("\(commands)/switchyard-host") == nil)
      // Where it can be made later, it is.
      try fixture.installation.bringUp()
      #expect(ProcFiles.link("\(commands)/switchyard-host") == fixture.files.program)
      try fixture.withReadOnly(commands) { try fixture.installation.takeDown() }
      #expect(fixture.left == ["usr/local/sbin/switchyard-host"])
    }

    @Test("Another program of the link's name stays")
    func foreignCommand() throws {
      let fixture = try InstallationFixture()
      try fixture.put("switchyard-host", in: fixture.files.commands)
      try fixture.installation.bringUp()
      try fixture.installation.takeDown()
      #expect(fixture.left == ["usr/local/sbin/switchyard-host"])
    }
  }

  @Suite("The way through Switchyard's own agent") struct AgentDoorTests {
    @Test("Closed, nothing of it is left: sockets for orders and playbooks, projects, configuration")
    func closed() throws {
      let fixture = try InstallationFixture()
      let names = ["switchyard-host", "switchyard-playbook"]
      for name in names {
        for unit in ["\(name).socket", "\(name)@.service"] { try fixture.put(unit, in: fixture.files.units) }
      }
      try fixture.put("agent.yml", in: fixture.files.agentSettings)
      try fixture.put("agent.key", in: fixture.files.credentials)
      try fixture.put("project", in: "\(fixture.files.caches)/projects/abc")
      _ = try FileTree.makeFolder(fixture.files.sockets)
      try fixture.put("caddy.service", in: fixture.files.units)
      try fixture.door.close()
      #expect(fixture.left == [])
      #expect(fixture.isThere("\(fixture.files.units)/caddy.service"))
      #expect(
        fixture.units.told
          == names.flatMap { ["disable \($0).socket", "stop \($0).socket"] } + ["reload"])
      // Done twice it is done, and what has no file is not disabled.
      fixture.units.told = []
      try fixture.door.close()
      #expect(fixture.units.told == names.map { "stop \($0).socket" })
    }

    @Test("A package's socket is disabled, so that it is not back after a boot, and its program is its own")
    func packaged() throws {
      let fixture = try InstallationFixture()
      fixture.units.packaged = ["switchyard-host.socket", "switchyard-host@.service"]
      #expect(!fixture.door.runsOwnProgram)
      try fixture.door.close()
      #expect(
        fixture.units.told.prefix(2) == ["disable switchyard-host.socket", "stop switchyard-host.socket"])
    }
  }
}
