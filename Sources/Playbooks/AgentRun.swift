import FoundationEssentials
import HostProtocol
import Ports
import RolloutModel

/// A run of one host on itself, behind its agent: the project where the host lacks it, then a job for its `ansible-runner worker`, and
/// what that says.
struct AgentRun: Sendable {
  let run: PreparedRun
  let host: Host
  let stream: any PlaybookStream
  let door: PlaybookDoorChoice
  /// Sets the files of this host apart from those of others.
  let part: String
  let tell: @Sendable (PlaybookEvent) async -> Void

  /// A worker says something every few seconds.
  private static let silence = Duration.seconds(60)
  private static let step = Duration.seconds(60)
  private static let piece = 256 * 1024

  /// The host can't run playbooks: nothing was run there.
  struct Unfit: Error { let why: String }

  /// Runs to its end; a cancelled task ends it, and the host's end says so. Errors: nothing was run.
  func carryOut() async throws -> PlaybookHostReport {
    do {
      let report = try await withTaskCancellationHandler {
        try await proceed()
      } onCancel: {
        let stream = stream
        Task { await stream.close() }
      }
      await stream.close()
      return report
    } catch {
      await stream.close()
      throw error
    }
  }

  private func proceed() async throws -> PlaybookHostReport {
    let counter = Counter()
    let sentProject = try await offer(counter)
    try await run.write(
      part, inventory: run.variables.inventory(of: [host], connection: Surroundings.onHost), hasVault: true)
    let reader = LineReader(hosts: [host.name], isSecret: run.isSecret, perHost: host.name, tell: tell)
    var broken: String?
    do {
      try await transmit(counter)
      while await !reader.isOver {
        let bytes = try await stream.read(within: Self.silence)
        if bytes.isEmpty {
          broken = "the host has ended the connection"
          break
        }
        await reader.take(bytes)
      }
    } catch let error as DoorError {
      broken = error.description
    }
    if Task.isCancelled { broken = "the run was ended" }
    if broken == nil { broken = await reader.flaw }
    if broken == nil, let status = await reader.status, !status.explanation.isEmpty {
      broken = status.explanation
    }
    var report = await reader.tally.report(host.name, door: door, brokenOff: broken)
    report.sentBytes = await counter.count
    report.sentProject = sentProject
    await tell(.ended(report))
    return report
  }

  // MARK: The preface

  /// Whether the project had to be sent.
  private func offer(_ counter: Counter) async throws -> Bool {
    let offer = PlaybookOffer(project: run.project.digest, vault: run.job.vaultPassword != nil)
    try await send(try canonicalJSON(offer) + [UInt8(ascii: "\n")], counter)
    var hasSent = false
    while true {
      switch try await answer() {
      case .ready: return hasSent
      case .failed(let failure):
        let words = failure.hint.isEmpty ? failure.message : "\(failure.message); \(failure.hint)"
        throw Unfit(why: escapedForTerminal(words, limit: 1000))
      case .send:
        guard !hasSent else { throw Unfit(why: "the host asks for the project again and again") }
        hasSent = true
        try await sendProject(counter)
      }
    }
  }

  /// The next line of the host. It says nothing more until it is answered.
  private func answer() async throws -> PlaybookAnswer {
    var line: [UInt8] = []
    while line.last != UInt8(ascii: "\n") {
      let bytes = try await stream.read(within: Self.step)
      guard !bytes.isEmpty else {
        throw Unfit(why: "the host ends the connection: its playbook runner can't start")
      }
      line += bytes
      guard line.count <= 65_536 else { throw Unfit(why: "what the host says is no answer") }
    }
    do { return try JSONDecoder().decode(PlaybookAnswer.self, from: Data(line)) } catch {
      throw Unfit(why: "what the host says is no answer")
    }
  }

  private func sendProject(_ counter: Counter) async throws {
    let manifest = run.project.manifest
    try await send(try canonicalJSON(manifest) + [UInt8(ascii: "\n")], counter)
    var waiting: [UInt8] = []
    for entry in manifest.entries {
      let path = "\(run.project.path)/\(entry.path)"
      waiting += try await Blocking.run { try Data(contentsOf: URL(filePath: path)) }
      while waiting.count >= Self.piece {
        try await send(Array(waiting.prefix(Self.piece)), counter)
        waiting.removeFirst(Self.piece)
      }
    }
    if !waiting.isEmpty { try await send(waiting, counter) }
  }

  // MARK: The job

  private func transmit(_ counter: Counter) async throws {
    let tool = Tool(
      program: run.tools.runner,
      arguments: ["transmit", run.place(part), "--playbook", run.job.playbook, "--ident", "run"],
      environment: run.surroundings.variables, folder: run.project.path)
    let end = try await tool.run { bytes in try await send(bytes, counter) }
    guard end.isGood else {
      throw DoorError(.local, "ansible-runner transmit has failed: \(lastWords(end.complaints))")
    }
  }

  private func send(_ bytes: [UInt8], _ counter: Counter) async throws {
    try await stream.write(bytes, within: Self.step)
    await counter.add(bytes.count)
  }

  private actor Counter {
    private(set) var count = 0

    func add(_ more: Int) { count += more }
  }
}
