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

  /// Hosts without a certificate that counts get one.
  func issueCertificates(_ hosts: [Host]) async throws {
    let options = authority
    let (made, failure) = try await offThePool {
      try options.use { authority throws(AuthorityError) in
        var requests: [CertificateRequest] = []
        for host in hosts {
          let name = AlternativeName("ip:" + host.address) ?? AlternativeName("dns:" + host.address)
          requests.append(
            try CertificateRequest(
              name: host.name, role: .agent, alternativeNames: name.map { [$0.description] } ?? []))
        }
        return try authority.issueMissing(requests)
      }
    }
    let names = made.map(\.name.text).joined(separator: ", ")
    if let failure { throw CommandError.tool("\(failure); certificates were issued to \(names)") }
    if !made.isEmpty { say("issued certificates to \(names)") }
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
        "\(Words.count(failures.count, "host")) could not be prepared; no agent was installed; see above"
          + (ended.run.map { ", and `switchyard logs \($0)`" } ?? ""))
    }
    try ended.leave()
  }

  private func bring(_ hosts: [Host]) async throws {
    let credentials = try await HostCredentials.load(hosts, authority)
    let results = try await fleet.overSSH.each(credentials, host: \.host) { site, credentials in
      let push = CredentialPush(
        doors: site.doors, look: site.look, prober: site.prober, time: site.time, port: site.agent.publicPort,
        within: .seconds(30), care: .unseen)
      return await push.bring(credentials.credentials, to: credentials.host)
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
    try rollouts.checkRoom(for: plan.id)
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
