import Agents
import ArgumentParser
import Certificates
import FoundationEssentials
import JournalStore
import MarkedYAML
import PolicyFiles
import Ports
import RolloutEngine
import RolloutModel

/// Installs agents on hosts that have the same ports for them.
struct AgentInstallation: Sendable {
  let fleet: AgentFleet
  let release: Release
  /// Its playbooks have their digests.
  let policy: Policy
  /// What prepares each host in the rollout, with its digest; nil for nothing.
  let prepare: PlannedPlaybook?
  let configuration: AgentConfigurationText
  let authority: AuthorityOptions
  let isQuiet: Bool

  /// A first install that fails leaves its host as it was: nothing else need be undone for it.
  private static let usualPolicy = """
    policy: agent-install
    waves:
      - {name: all, hosts: 100%, batch: 25%, soak: 5s}
    budget: {canary: 0, wave: 0, fleet: 0, unreachable: 0}
    on_breach: halt
    """

  static func policy(_ path: String?, fleet: Int) throws -> Policy {
    do throws(FileProblems) {
      guard let path else {
        return try PolicyFile.parse(text: usualPolicy, name: "the usual policy", fleet: fleet)
      }
      return try PolicyFile.load(path: path, fleet: fleet, playbooksMustExist: true)
    } catch {
      throw CommandError.invalid("\(error)")
    }
  }

  /// Refuses on this machine what would end the installation later: before anything is issued, or any host is asked.
  func check(_ hosts: [Host]) async throws {
    // IDs of the same agent and version are equally long.
    try Rollouts.checkRoom(
      for: RunID.make(fleet.agent.name, release.version), in: authority.state.checked())
    let options = authority
    let missing = try await offThePool {
      let requests = try hosts.map(Self.request)
      return try options.use { authority throws(AuthorityError) in try authority.missing(requests) }
    }
    let names = Set(missing.map(\.name.text))
    _ = try await HostCredentials.load(hosts.filter { !names.contains($0.name) }, authority)
  }

  /// Hosts without a certificate that counts get one; those for whom it was issued.
  func issueCertificates(_ hosts: [Host]) async throws -> [String] {
    let options = authority
    let (made, failure) = try await offThePool {
      let requests = try hosts.map(Self.request)
      return try options.use { authority throws(AuthorityError) in try authority.issueMissing(requests) }
    }
    let names = made.map(\.name.text)
    if let failure {
      throw CommandError.tool("\(failure); certificates were issued to \(names.joined(separator: ", "))")
    }
    if !made.isEmpty { say("issued certificates to \(names.joined(separator: ", "))") }
    return names
  }

  /// A certificate by which a host's agent is known at its address.
  static func request(_ host: Host) throws -> CertificateRequest {
    guard let name = AlternativeName("ip:" + host.address) ?? AlternativeName("dns:" + host.address) else {
      throw CommandError.invalid(
        "\(escapedForTerminal(host.name)): \(escapedForTerminal(host.address)) can't stand in a certificate, where controllers look for it; "
          + "give the host an address or a name of letters, digits, dots and dashes")
    }
    do throws(AuthorityError) {
      return try CertificateRequest(name: host.name, role: .agent, alternativeNames: [name.description])
    } catch {
      throw CommandError.invalid("\(error)")
    }
  }

  /// Finds agents of another authority before any host is changed.
  func checkAuthority(of hosts: [HostCredentials]) async throws {
    let refusals = try await fleet.overSSH.each(hosts, host: \.host) { site, credentials in
      await push(site).refusal(of: credentials.credentials, on: credentials.host)
    }
    let problems = refusals.compactMap { $0 }.map { "\($0.host): \($0.text)" }
    guard problems.isEmpty else { throw CommandError.tool(problems.joined(separator: "\n")) }
  }

  /// Where an agent runs already its certificate is changed as by `cert push`; elsewhere the files are placed.
  private func push(_ site: AgentFleet.Site) -> CredentialPush {
    CredentialPush(
      doors: site.doors, look: site.look, prober: site.prober, time: site.time, port: site.agent.publicPort,
      within: .seconds(30), care: .sameAuthorityIfRunning(site.agent.name))
  }

  /// Prepares the hosts, brings certificates, and rolls the release out.
  func carryOut(
    _ hosts: [Host], agent: AgentDefinition, job: PlaybookJob, runner: String?, output: OutputOptions
  ) async throws {
    say("preparing \(Words.count(hosts.count, "host")) with install_agent.yml")
    // One configuration is handed to a playbook: hosts that listen elsewhere have their own run.
    for (listen, members) in Self.byListen(hosts) {
      let file = try TemporaryText(configuration.text(agent, listen: listen), named: "agent.yml")
      try await prepare(members, file, job, runner, output)
    }
    say("bringing certificates")
    try await bring(hosts)
    say("waiting until the agents are healthy on port \(agent.publicPort)")
    try await rollOut(hosts, agent, output)
  }

  /// Hosts with the address that their agents listen on, in the order of their first ones.
  static func byListen(_ hosts: [Host]) -> [(listen: String, hosts: [Host])] {
    var groups: [(listen: String, hosts: [Host])] = []
    for host in hosts {
      let listen = AgentConfigurationText.listen(at: host.address)
      if let group = groups.firstIndex(where: { $0.listen == listen }) {
        groups[group].hosts.append(host)
      } else {
        groups.append((listen, [host]))
      }
    }
    return groups
  }

  private func prepare(
    _ hosts: [Host], _ file: TemporaryText, _ job: PlaybookJob, _ runner: String?, _ output: OutputOptions
  ) async throws {
    var job = job
    job.hosts = hosts
    job.tags = ["prepare"]
    let directory = PlaybookRunOptions.absolute(try authority.directory())
    job.variables["agent_tls"] = .text("\(directory)/issued/{{ inventory_hostname }}")
    job.variables["agent_host_program"] = .text(PlaybookRunOptions.absolute(try Workshop.hostProgram()))
    let units = job.project + "/../units"
    if FileManager.default.fileExists(atPath: units) {
      job.variables["agent_units"] = .text(PlaybookRunOptions.absolute(units))
    }
    job.attachments.append(PlaybookJob.Attachment(variable: "agent_config_file", path: file.path))
    let work = PlaybookWork(
      job: job, door: try PlaybookDoorOptions.parse(["--door", "ssh"]), output: output, runner: runner,
      state: authority.state, isQuiet: isQuiet)
    let ended = try await work.carryOut()
    withExtendedLifetime(file) {}
    let failures = ended.report.hosts.filter { !$0.isGood }
    guard failures.isEmpty else {
      for host in failures {
        Output.error("\(escapedLine(host.host)): not prepared: \(escapedLine(host.reason))")
      }
      throw CommandError.tool(
        "\(Words.count(failures.count, "host")) could not be prepared, and nothing was rolled out to hosts with these ports; see above"
          + (ended.run.map { ", and `switchyard logs \($0)`" } ?? ""))
    }
    try ended.leave()
  }

  private func bring(_ hosts: [Host]) async throws {
    let credentials = try await HostCredentials.load(hosts, authority)
    let results = try await fleet.overSSH.each(credentials, host: \.host) { site, credentials in
      await push(site).bring(credentials.credentials, to: credentials.host)
    }
    let failures = results.filter { !$0.isGood }
    guard failures.isEmpty else {
      throw CommandError.tool(failures.map { "\($0.host): \($0.text)" }.joined(separator: "\n"))
    }
  }

  private func rollOut(_ hosts: [Host], _ agent: AgentDefinition, _ output: OutputOptions) async throws {
    var agent = agent
    agent.rpc = nil
    agent.prepare = prepare
    let rollouts = try Rollouts.open(authority.state)
    let plan = Plan(
      id: RunID.make(agent.name, release.version), agent: agent, policy: policy, release: release,
      hosts: hosts,
      waves: PlannedWave.waves(of: policy, total: hosts.count), acceptLocalProbes: false, again: nil,
      takeOver: nil,
      owner: Person.name)
    try await rollouts.store.create(plan, wall: SystemTimekeeper().wall)
    say("rollout \(plan.id)")
    let state = try await RolloutDriver(rollouts: rollouts, output: output.output, isShown: !isQuiet).drive(
      plan.id, orders: [])
    guard state.exitCode != 0 else { return }
    let hosts = try await rollouts.replay(plan.id).engine.snapshot().hosts
    let reasons = hosts.filter { $0.state != .promoted }.map {
      "\(escapedLine($0.host)): \($0.state.rawValue): \(escapedLine($0.reason))"
    }
    throw CommandError(
      code: state.exitCode,
      description: (["the agents were not all installed; `switchyard rollout explain \(plan.id)` says more"]
        + reasons)
        .joined(separator: "\n"))
  }

  /// Hosts by name, for a message.
  static func named(_ hosts: [Host]) -> String {
    hosts.map { escapedForTerminal($0.name) }.joined(separator: ", ")
  }

  private func say(_ text: String) {
    if !isQuiet { Output.line(text) }
  }
}

/// A file for the length of a verb, in a folder of its own, for its owner alone.
final class TemporaryText: Sendable {
  let path: String
  private let folder: String

  init(_ text: String, named name: String) throws {
    let base = FileManager.default.temporaryDirectory.path
    folder = "\(base)/switchyard-\(UUID().uuidString)"
    path = "\(folder)/\(name)"
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
      try text.write(toFile: path, atomically: false, encoding: .utf8)
    } catch {
      throw CommandError.tool(
        "a temporary file can't be written in \(escapedForTerminal(base)): \(escapedForTerminal("\(error)"))")
    }
  }

  deinit {
    // What stays is in the folder for temporary files.
    _ = try? FileManager.default.removeItem(atPath: folder)
  }
}
