import FoundationEssentials
import HostProtocol
import Ports
import RolloutModel

/// Runs playbooks with `ansible-runner`.
public struct AnsiblePlaybooks: PlaybookRunner {
  /// Which way hosts are reached.
  public enum Doors: Sendable {
    /// From this machine.
    case ssh
    /// On the hosts, behind their agents.
    case rpc(any PlaybookDoor)
    /// Behind the agent where one is that can run playbooks, else over SSH.
    case auto(any PlaybookDoor)
  }

  private let tools: AnsibleTools
  private let doors: Doors
  private let environment: [String: String]

  /// A runner with these programs and ways; the environment's PATH is where they find others.
  public init(tools: AnsibleTools, doors: Doors, environment: [String: String]) {
    self.tools = tools
    self.doors = doors
    self.environment = environment
  }

  /// Runs one playbook to its end. Errors: what was found to be wrong before anything ran.
  public func run(
    _ job: PlaybookJob, tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async throws(PlaybookError) -> PlaybookReport {
    let folder = try await RunFolder.make()
    let result: Result<PlaybookReport, PlaybookError>
    do throws(PlaybookError) {
      let prepared = try await prepare(job, folder)
      result = .success(await carryOut(prepared, tell))
    } catch {
      result = .failure(error)
    }
    await folder.remove()
    return try result.get()
  }

  /// Checks all that can be checked before anything runs; the value is the digest of what would be run. Errors: as for
  /// ``run(_:tell:)``.
  public func inspect(_ job: PlaybookJob) async throws(PlaybookError) -> Digest {
    let folder = try await RunFolder.make()
    let result: Result<Digest, PlaybookError>
    do throws(PlaybookError) {
      result = .success(try await prepare(job, folder).project.digest)
    } catch {
      result = .failure(error)
    }
    await folder.remove()
    return try result.get()
  }

  private func prepare(_ job: PlaybookJob, _ folder: RunFolder) async throws(PlaybookError) -> PreparedRun {
    try Self.validate(job)
    let surroundings = Surroundings(
      tools, folder, path: environment["PATH"], callerFolder: FileManager.default.currentDirectoryPath)
    try await Blocking.run { () throws(PlaybookError) in
      try folder.makeFolder("tmp")
      try folder.makeFolder("ssh")
    }
    let variables = try await HostVariables.read(job, tools, surroundings)
    let project = try await Blocking.run { () throws(PlaybookError) in
      try ProjectSnapshot.take(
        job.project, into: folder, as: "project", without: Self.ownFiles(of: job, beside: variables))
    }
    if let digest = job.digest, digest != project.digest {
      throw PlaybookError(
        .tool,
        "\(escapedForTerminal(job.project)) is no longer what the plan has frozen: \(project.digest.short), not \(digest.short)",
        hint: "put it back as it was, or plan anew")
    }
    guard project.manifest.entries.contains(where: { $0.path == job.playbook }) else {
      throw PlaybookError(
        .invalid,
        "there is no playbook \(escapedForTerminal(job.playbook)) in \(escapedForTerminal(job.project))",
        hint: "name a file")
    }
    let run = PreparedRun(
      job: job, tools: tools, folder: folder, surroundings: surroundings, project: project,
      variables: variables,
      isSecret: try await opensVaults(job, project))
    // What was frozen was checked when that was done.
    if job.digest == nil { try await run.check() }
    return run
  }

  /// Whether what tasks say may come out of a vault. Ansible takes passwords of vaults from more places than our own option.
  private func opensVaults(_ job: PlaybookJob, _ project: ProjectSnapshot) async throws(PlaybookError) -> Bool
  {
    if job.vaultPassword != nil || job.variables.values.contains(where: \.holdsVault) { return true }
    let environment = environment
    // The inventory is read where the person is, the playbook where the project is.
    let folders = [project.path, FileManager.default.currentDirectoryPath]
    return await Blocking.run { VaultSettings.areMade(in: environment, folders: folders) }
  }

  /// What a job was made from, which no host needs: each gets its own variables alone, from the inventory that was read.
  static func ownFiles(of job: PlaybookJob, beside variables: HostVariables) -> [String] {
    var paths = job.sources + job.attachments.map(\.path)
    if let password = job.vaultPassword { paths.append(password) }
    guard let inventory = job.inventory else { return paths }
    // Ansible reads these beside an inventory's file, and in an inventory's folder.
    let folder = inventory.lastIndex(of: "/").map { String(inventory[..<$0]) } ?? "."
    paths.append(inventory)
    for place in [folder, inventory] {
      paths += entries(of: "\(place)/group_vars", where: variables.knowsVariables(ofGroup:))
      paths += entries(of: "\(place)/host_vars", where: variables.knows)
    }
    return paths
  }

  /// What a folder has under names of which all is known. Groups that a play makes by itself are in no inventory.
  private static func entries(of folder: String, where isKnown: (String) -> Bool) -> [String] {
    // A folder that is not there has none.
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { name in
      let ending = [".yml", ".yaml", ".json"].first(where: name.hasSuffix)
      return isKnown(String(name.dropLast(ending?.count ?? 0)))
    }.map { "\(folder)/\($0)" }
  }

  private static func validate(_ job: PlaybookJob) throws(PlaybookError) {
    func invalid(_ message: String, _ hint: String) -> PlaybookError {
      PlaybookError(.invalid, message, hint: hint)
    }
    guard !job.hosts.isEmpty else { throw invalid("no host is chosen", "choose at least one") }
    if job.playbook.hasPrefix("-") {
      throw invalid(
        "the playbook's name begins with -", "Ansible would take it for an option: give it another name")
    }
    for name in job.variables.keys.sorted() + job.attachments.map(\.variable) where !Variables.isName(name) {
      throw invalid(
        "\(escapedForTerminal(name)) is no variable's name", "use letters, digits and _, a letter first")
    }
  }

  private func carryOut(
    _ run: PreparedRun, _ tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async -> PlaybookReport {
    let gathered = Gathered()
    var isLate = false
    do {
      try await within(run.job.deadline) { await toAll(run, gathered, tell) }
    } catch {
      isLate = error is Late
    }
    let reports = await gathered.reports
    var hosts: [PlaybookHostReport] = []
    for host in run.job.hosts {
      if let report = reports[host.name] {
        hosts.append(report)
        continue
      }
      let report = Self.lost(
        host, PlaybookDoorChoice(.ssh, why: "none was chosen yet"),
        "the run was ended before this host's turn")
      await tell(.ended(report))
      hosts.append(report)
    }
    var report = PlaybookReport(
      playbook: run.job.playbook, digest: run.project.digest.hex, hosts: hosts)
    report.isLate = isLate
    return report
  }

  private func toAll(
    _ run: PreparedRun, _ gathered: Gathered, _ tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async {
    let overSSH = await behindAgents(run, gathered, tell)
    guard !overSSH.isEmpty, !Task.isCancelled else { return }
    for (host, door) in overSSH { await tell(.door(host: host.name, door)) }
    let reports: [PlaybookHostReport]
    do throws(PlaybookError) {
      reports = try await SSHRun(run: run, hosts: overSSH, tell: tell).carryOut()
    } catch {
      reports = overSSH.map { Self.lost($0.host, $0.door, error.description) }
      for report in reports { await tell(.ended(report)) }
    }
    await gathered.add(reports)
  }

  static func lost(_ host: Host, _ door: PlaybookDoorChoice, _ why: String) -> PlaybookHostReport {
    PlaybookHostReport(
      host: host.name, outcome: .lost, counts: PlaybookCounts(), door: door, failedTask: "", reason: why)
  }

  // MARK: Behind the agents

  /// Runs what goes through agents; gives back the hosts that are left for SSH.
  private func behindAgents(
    _ run: PreparedRun, _ gathered: Gathered, _ tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async -> [(host: Host, door: PlaybookDoorChoice)] {
    let door: any PlaybookDoor
    let fallsBack: Bool
    switch doors {
    case .ssh: return run.job.hosts.map { ($0, PlaybookDoorChoice(.ssh, why: "as asked")) }
    case .rpc(let given): (door, fallsBack) = (given, false)
    case .auto(let given): (door, fallsBack) = (given, true)
    }
    let hosts = run.job.hosts
    var left: [Int: PlaybookDoorChoice] = [:]
    await withTaskGroup(of: (Int, PlaybookDoorChoice?).self) { group in
      var next = 0
      func addNext() {
        guard next < hosts.count, !Task.isCancelled else { return }
        let place = next
        next += 1
        group.addTask {
          (place, await behindAgent(run, hosts[place], place, door, fallsBack: fallsBack, gathered, tell))
        }
      }
      for _ in 0..<max(1, run.job.forks) { addNext() }
      for await (place, choice) in group {
        if let choice { left[place] = choice }
        addNext()
      }
    }
    return hosts.indices.compactMap { place in left[place].map { (hosts[place], $0) } }
  }

  /// Runs one host behind its agent; the choice of SSH where that is what is left.
  private func behindAgent(
    _ run: PreparedRun, _ host: Host, _ place: Int, _ door: any PlaybookDoor, fallsBack: Bool,
    _ gathered: Gathered,
    _ tell: @escaping @Sendable (PlaybookEvent) async -> Void
  ) async -> PlaybookDoorChoice? {
    let choice = PlaybookDoorChoice(.rpc, why: door.way(to: host))
    let why: String
    do {
      let stream = try await door.open(host)
      await tell(.door(host: host.name, choice))
      let agent = AgentRun(
        run: run, host: host, stream: stream, door: choice, part: "agent-\(place)", tell: tell)
      await gathered.add([try await agent.carryOut()])
      return nil
    } catch let error as DoorError {
      why = error.description
    } catch let error as AgentRun.Unfit {
      why = "\(door.way(to: host)) is there, but the host can't run playbooks: \(error.why)"
    } catch {
      why = escapedForTerminal("\(error)")
    }
    guard !fallsBack || Task.isCancelled else { return PlaybookDoorChoice(.ssh, why: why) }
    var report = Self.lost(host, choice, why)
    // Nothing was run there.
    report.outcome = .unreachable
    await tell(.ended(report))
    await gathered.add([report])
    return nil
  }

  private actor Gathered {
    private(set) var reports: [String: PlaybookHostReport] = [:]

    func add(_ more: [PlaybookHostReport]) { for report in more { reports[report.host] = report } }
  }
}
