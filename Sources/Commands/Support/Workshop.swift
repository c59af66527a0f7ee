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

  private init(through choice: RPCDoorChoice?) throws {
    loop = try EventLoop(name: "switchyard-io")
    guard let prober = CurlProber(loop: loop, version: switchyardVersion) else {
      throw CommandError.tool("libcurl could not be set up; is there memory left?")
    }
    self.prober = prober
    let ssh = try SSHDoor(options: SSHOptions(hostProgram: try Self.hostProgram()), loop: loop)
    self.ssh = ssh
    rpc = try choice.map { [loop] choice in
      try RPCWay.open(choice, loop: loop, folder: ssh.folder)
    }
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

  /// Hands a workshop to `body` and closes it behind that, connections first. Hosts are asked through their agents where
  /// `choice` says so.
  static func use<Value>(
    through choice: RPCDoorChoice?, _ body: (Workshop) async throws -> Value
  ) async throws -> Value {
    let workshop = try Workshop(through: choice)
    let result: Result<Value, any Error>
    do { result = .success(try await body(workshop)) } catch { result = .failure(error) }
    await workshop.rpc?.close()
    await workshop.ssh.close()
    workshop.loop.stop()
    return try result.get()
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
