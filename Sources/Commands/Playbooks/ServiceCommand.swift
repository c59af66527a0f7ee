import ArgumentParser
import Ports
import RolloutModel

struct ServiceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "service",
    abstract: "Deploy services beside the agent through playbooks, over SSH or behind the agents.",
    discussion: """
      A deployment is judged, used, seen to work on each host, and taken back where it doesn't. Exit codes: 0 done, 1 done on no host, \
      as some could not be asked, 2 invalid input (nothing changed), 3 taken back on every host, 4 a host may be neither on the \
      old configuration nor on the new one, or is on the new one and did not answer --probe, 7 done on some hosts and not on the others, which are as they were, 8 ended by a signal, 124 ended at the deadline.
      """,
    subcommands: [ServiceDeployVerb.self, ServiceStatusVerb.self, ServiceRemoveVerb.self])
}

struct ServiceDeployVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "deploy", abstract: "Install and configure a service; see that it works.")

  @Argument(help: "The service: caddy or xray.")
  var service: DeployedService

  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var door: PlaybookDoorOptions
  @OptionGroup var run: PlaybookRunOptions
  @OptionGroup var check: PlaybookCheckOption
  @OptionGroup var library: PlaybookLibraryOptions
  @OptionGroup var state: StateOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("Its configuration: a Caddyfile, or Xray's JSON.", valueName: "FILE"))
  var config: String

  @Option(help: ArgumentHelp("What must answer on the host afterwards.", valueName: "URL"))
  var healthUrl: String?

  @Option(help: ArgumentHelp("xray: the inbound that is asked through.", valueName: "URL"))
  var healthProxy: String?

  @Option(
    help: ArgumentHelp(
      "Probed from here once a host is done: http:PORT/PATH, https:PORT/PATH or tcp:PORT. May be given several times.",
      valueName: "PROBE"))
  var probe: [String] = []

  func run() async throws {
    // A check deploys nothing that could answer.
    let probes = check.check ? [] : try probe.map(OutsideProbe.init)
    var job = try await run.job(
      project: try library.folder(), playbook: service.playbook, inventory)
    job.isCheck = check.check
    job.attachments.append(PlaybookJob.Attachment(variable: service.variable("config_file"), path: config))
    if let healthUrl { job.variables[service.variable("health_url")] = .text(healthUrl) }
    if let healthProxy {
      guard service == .xray else { throw CommandError.invalid("--health-proxy is for xray alone") }
      job.variables[service.variable("health_proxy")] = .text(healthProxy)
    }
    let ended = try await PlaybookWork(
      job: job, door: door, output: output, runner: run.ansibleRunner, state: state
    )
    .carryOut()
    let seen = try await OutsideProbe.take(probes, of: job.hosts, ended.report)
    try ServiceOutcome(ended: ended, seen: seen).tell(output)
  }
}

struct ServiceRemoveVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove a service's program, unit and configuration.")

  @Argument(help: "The service: caddy or xray.")
  var service: DeployedService

  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var door: PlaybookDoorOptions
  @OptionGroup var run: PlaybookRunOptions
  @OptionGroup var check: PlaybookCheckOption
  @OptionGroup var library: PlaybookLibraryOptions
  @OptionGroup var state: StateOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    var job = try await run.job(
      project: try library.folder(), playbook: service.playbook, inventory)
    job.isCheck = check.check
    job.variables["service_state"] = .text("absent")
    try await PlaybookWork(job: job, door: door, output: output, runner: run.ansibleRunner, state: state)
      .carryOut().leave()
  }
}

struct ServiceStatusVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show how a service stands on each host.")

  @Argument(help: "The service: caddy or xray.")
  var service: DeployedService

  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var door: PlaybookDoorOptions
  @OptionGroup var run: PlaybookRunOptions
  @OptionGroup var library: PlaybookLibraryOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    var job = try await run.job(
      project: try library.folder(), playbook: DeployedService.statusPlaybook, inventory)
    job.variables["service_name"] = .text(service.rawValue)
    let ended = try await PlaybookWork(
      job: job, door: door, output: output, runner: run.ansibleRunner, state: nil, isQuiet: true
    ).carryOut()
    if output.isJSON {
      try Output.json(ended.report.hosts.map(ServiceStatusRow.init))
    } else {
      Output.styled { ServiceStatusRow.table(ended.report.hosts.map(ServiceStatusRow.init), $0) }
    }
    try ended.leave()
  }
}
