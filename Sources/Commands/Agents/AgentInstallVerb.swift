import Agents
import ArgumentParser
import Certificates
import Ports
import RolloutModel

struct AgentInstallVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "install",
    abstract:
      "Install agents on registered hosts over SSH: prepare, bring certificates, roll out, wait until they are well.",
    discussion: """
      What is done already is left as it is, so that an installation that broke off is gone on with by the same words. \
      Exit codes are those of a rollout; 2 means that nothing was changed. Hosts whose agents have other ports are \
      installed one group after the other.
      """)
  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var options: AgentOptions
  @OptionGroup var playbook: PlaybookRunOptions
  @OptionGroup var library: PlaybookLibraryOptions
  @OptionGroup var output: OutputOptions

  @Option(
    name: .customLong("version"), help: ArgumentHelp("The agent's version.", valueName: "V"))
  var release: String

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("The agent's archive; once per architecture.", valueName: "[ARCH=]FILE"))
  var archive: [String]

  @Option(help: ArgumentHelp("The archive's digest: another one is refused.", valueName: "HEX"))
  var sha256: String?

  @Option(
    help: ArgumentHelp(
      "Lines that the agents' configuration has beside its own: commands, services, limits.",
      valueName: "FILE"))
  var config: String?

  @Option(
    help: ArgumentHelp(
      "How the fleet is walked; default a quarter of the hosts at a time.", valueName: "FILE"))
  var policy: String?

  func validate() throws {
    guard options.door != .rpc else {
      throw ValidationError(
        "--door rpc: who installs an agent can't come through it; agents are installed over SSH, and looked at through both doors afterwards"
      )
    }
  }

  func run() async throws {
    guard let version = Version(release) else {
      throw CommandError.invalid("--version \(escapedForTerminal(release)): not a version")
    }
    let fleet = try AgentFleet(options)
    let hosts = try await HostFleet.load(inventory)
    let digest = try fleet.tokenDigest(of: hosts, in: options.tokenFile)
    let archives = try await Archives.load(archive, sha256: sha256)
    var (agent, rules) = (fleet.agent, try AgentInstallation.policy(policy, fleet: hosts.count))
    // Before anything is issued or a host is asked: what is wrong with a playbook is found on this machine.
    try await PlannedRuns.freeze(
      &agent, of: options.agent ?? "the agent file", &rules, of: policy ?? "the policy", for: hosts)
    let installation = AgentInstallation(
      fleet: fleet, release: Release(version: version, archives: archives), policy: rules,
      prepare: agent.prepare,
      configuration: AgentConfigurationText(
        controller: options.controller, tokenDigest: digest,
        more: try await AgentConfigurationText.more(config)),
      authority: options.authority, isQuiet: output.isJSON)
    let job = try await playbook.job(
      project: try library.folder(), playbook: "install_agent.yml", inventory)
    try await installation.check(hosts)
    let issued = try await installation.issueCertificates(hosts)
    var progress = InstallationProgress(issued: issued)
    do {
      try await installation.checkAuthority(of: try await HostCredentials.load(hosts, options.authority))
      for (ports, members) in fleet.groups(hosts) {
        progress.isBegun = true
        try await installation.carryOut(
          members, agent: fleet.agent(on: ports), job: job, runner: playbook.ansibleRunner, output: output)
        progress.installed += members
      }
    } catch let error as CommandError {
      throw progress.failure(error)
    } catch {
      // It says by itself what failed.
      if let done = progress.done { Output.error(done) }
      throw error
    }
    try await AgentStatusVerb.tell(fleet, hosts, output)
  }
}
