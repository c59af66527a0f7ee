import AgentRPC
import Controller
import EventLoop
import FoundationEssentials
import HostSteps
import Playbooks
import Ports
import Probes
import RolloutModel
import SSHTransport

/// The real world of a controller: one event loop, and on it the doors and the prober.
final class Workshop: Sendable {
  let loop: EventLoop
  /// The way to every host.
  let doors: any Doors
  /// The two of them, where both are used.
  let ssh: SSHDoor
  let rpc: RPCDoor?
  private let playbooks: AnsiblePlaybooks.Doors
  let prober: CurlProber
  /// Whether the way to hosts is through their agents first, and SSH where they don't answer.
  let fallsBack: Bool
  let time = SystemTimekeeper()

  private init(
    _ loop: EventLoop, _ prober: CurlProber, _ ssh: SSHDoor, _ rpc: RPCDoor?, through choice: RPCDoorChoice?
  ) {
    self.loop = loop
    self.prober = prober
    self.ssh = ssh
    self.rpc = rpc
    fallsBack = choice?.fallsBack ?? false
    playbooks =
      switch (rpc, choice?.fallsBack) {
      case (let rpc?, true?): .auto(rpc)
      case (let rpc?, _): .rpc(rpc)
      case (nil, _): .ssh
      }
    doors =
      switch (rpc, choice?.fallsBack) {
      case (let rpc?, true?): AutoDoor(rpc: rpc, ssh: ssh)
      case (let rpc?, _): rpc
      case (nil, _): ssh
      }
  }

  private static func open(through choice: RPCDoorChoice?) async throws -> Workshop {
    let program = try hostProgram()
    let loop = try EventLoop(name: "switchyard-io")
    guard let prober = CurlProber(loop: loop, version: switchyardVersion) else {
      loop.stop()
      throw CommandError.tool("libcurl could not be set up; is there memory left?")
    }
    let ssh: SSHDoor
    do { ssh = try SSHDoor(options: SSHOptions(hostProgram: program), loop: loop) } catch {
      loop.stop()
      throw error
    }
    do {
      let rpc = try choice.map { try RPCWay.open($0, loop: loop, folder: ssh.folder) }
      return Workshop(loop, prober, ssh, rpc, through: choice)
    } catch {
      // Its folder must not stay behind.
      await ssh.close()
      loop.stop()
      throw error
    }
  }

  /// Hands a workshop to `body` and closes it behind that, connections first. Hosts are asked through their agents where
  /// `choice` says so.
  static func use<Value>(
    through choice: RPCDoorChoice?, _ body: (Workshop) async throws -> Value
  ) async throws -> Value {
    let workshop = try await open(through: choice)
    let result: Result<Value, any Error>
    do { result = .success(try await body(workshop)) } catch { result = .failure(error) }
    await workshop.rpc?.close()
    await workshop.ssh.close()
    workshop.loop.stop()
    return try result.get()
  }

  /// Finds out whether there could be one: all its files are read, and no host is asked. Errors: as for ``use(through:_:)``.
  static func check(through choice: RPCDoorChoice?) async throws {
    try await use(through: choice) { _ in }
  }

  func world(journal: any Journal, log: any RunLog = NoLog()) -> World {
    World(
      doors: doors, prober: prober, journal: journal, time: time, log: log,
      preparer: PlaybookPreparer(doors: playbooks), hooks: PlaybookHooks(doors: playbooks))
  }

  func identity(purpose: String, takesOver: Bool) -> ControllerIdentity {
    ControllerIdentity(id: UUID().uuidString, holder: Person.name, purpose: purpose, takesOver: takesOver)
  }

  /// `switchyard-host` beside this program, or where SWITCHYARD_HOST_PROGRAM says.
  static func hostProgram() throws -> String {
    if let given = ProcessInfo.processInfo.environment["SWITCHYARD_HOST_PROGRAM"], !given.isEmpty {
      return given
    }
    let own: String
    do { own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") } catch {
      throw CommandError.tool("this program's own path can't be told: \(error)")
    }
    let folder = own.prefix(upTo: own.lastIndex(of: "/") ?? own.startIndex)
    let path = "\(folder)/switchyard-host"
    guard FileManager.default.isReadableFile(atPath: path) else {
      throw CommandError.tool(
        "\(path) is missing: it must lie beside switchyard (or name it in SWITCHYARD_HOST_PROGRAM)")
    }
    return path
  }
}

/// For verbs that are no run.
struct NoLog: RunLog {
  func write(_ line: RunLogLine) {}
}

/// A journal for verbs that ask hosts and record nothing.
struct NoJournal: Journal {
  func append(_ entries: [JournalEntry], to rollout: String, wall: Int64) async throws(JournalError) {
    throw JournalError("this verb keeps no journal", hint: "this is a fault of Switchyard: please report it")
  }
}
