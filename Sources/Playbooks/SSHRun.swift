import Ports
import RolloutModel

/// A run over SSH: one `ansible-runner` on this machine for all hosts.
struct SSHRun: Sendable {
  let run: PreparedRun
  /// The hosts, with the reason for this door.
  let hosts: [(host: Host, door: PlaybookDoorChoice)]
  let tell: @Sendable (PlaybookEvent) async -> Void

  /// Runs to its end; a cancelled task ends it, and the hosts' ends say so.
  func carryOut() async throws(PlaybookError) -> [PlaybookHostReport] {
    let names = hosts.map(\.host)
    try await run.write(
      "ssh", inventory: run.variables.inventory(of: names, connection: run.surroundings.overSSH),
      hasVault: true)
    let reader = LineReader(hosts: names.map(\.name), isSecret: run.isSecret, perHost: nil, tell: tell)
    var variables = run.surroundings.variables
    if run.job.vaultPassword != nil {
      variables["ANSIBLE_VAULT_PASSWORD_FILE"] = run.place("ssh/env/vault-password")
    }
    let tool = Tool(
      program: run.tools.runner,
      arguments: [
        "run", run.place("ssh"), "--playbook", run.job.playbook, "--project-dir", run.project.path, "--json",
        "--ident", "run", "--forks", "\(max(1, run.job.forks))",
      ], environment: variables, folder: run.project.path)
    var broken: String?
    do {
      let end = try await tool.run { bytes in await reader.take(bytes) }
      if await !reader.tally.isComplete, !end.isGood {
        broken = await reader.tally.words.isEmpty ? lastWords(end.complaints) : nil
      }
    } catch is CancellationError {
      broken = "the run was ended"
    } catch {
      broken = "ansible-runner can't be run: \(escapedForTerminal("\(error)"))"
    }
    if Task.isCancelled { broken = "the run was ended" }
    if broken == nil { broken = await reader.flaw }
    let tally = await reader.tally
    let reports = hosts.map { tally.report($0.host.name, door: $0.door, brokenOff: broken) }
    for report in reports { await tell(.ended(report)) }
    return reports
  }
}

/// Takes in what a runner writes, and tells of it.
actor LineReader {
  private(set) var tally: RunTally
  private var cutter = LineCutter(limit: RunnerLine.limit)
  private let isSecret: Bool
  /// The one host that the lines are about; what they say of others doesn't count.
  private let perHost: String?
  private let hosts: Set<String>
  private let tell: @Sendable (PlaybookEvent) async -> Void
  /// How a worker says that the run has ended.
  private(set) var status: (word: String, explanation: String)?
  /// Whether a worker has said that nothing follows.
  private(set) var isOver = false
  private var strangeLines = 0

  /// In words, why nothing is known of a run that has no end; nil where something is, or all that came was read.
  var flaw: String? {
    let unread = strangeLines + cutter.dropped
    return unread > 0 && !tally.isComplete && tally.words.isEmpty
      ? "\(unread) lines of the runner could not be read" : nil
  }

  init(
    hosts: [String], isSecret: Bool, perHost: String?, tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) {
    tally = RunTally(hosts: hosts)
    self.hosts = Set(hosts)
    self.isSecret = isSecret
    self.perHost = perHost
    self.tell = tell
  }

  /// Takes in the next bytes.
  func take(_ bytes: [UInt8]) async {
    var contents: [RunnerLine.Content] = []
    cutter.push(bytes) { line in
      guard let line = RunnerLine(line, isSecret: isSecret) else {
        strangeLines += 1
        return 0
      }
      contents.append(line.content)
      if case .artifacts(let size) = line.content { return size }
      return 0
    }
    for content in contents { await note(content) }
  }

  private func note(_ content: RunnerLine.Content) async {
    tally.take(content)
    switch content {
    case .play(let name): if perHost == nil { await tell(.play(name)) }
    case .task(let task): await tell(.task(task, host: perHost))
    case .result(let result): if hosts.contains(result.host) { await tell(.result(result)) }
    case .status(let word, let explanation): status = (word, explanation)
    case .end: isOver = true
    case .stats, .words, .artifacts, .playEnded, .other: break
    }
  }
}
