import ArgumentParser
import Inventory
import MarkedYAML
import PolicyFiles
import Ports
import RolloutModel

/// The files and values that make a plan; shared by `plan` and `start`.
struct PlanOptions: ParsableArguments {
  @OptionGroup var hosts: InventoryOptions

  @Option(help: ArgumentHelp("What is upgraded.", valueName: "FILE"))
  var agent: String

  @Option(help: ArgumentHelp("How the fleet is walked.", valueName: "FILE"))
  var policy: String

  @Option(
    name: .customLong("version"),
    help: ArgumentHelp("The new version, as its makers write it.", valueName: "V"))
  var release: String

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "The release's archive (.tar, .tar.gz, .tar.xz, .tar.zst); one per architecture, ARCH as `uname -m` says it. None where the agent file names an image in a registry.",
      valueName: "[ARCH=]FILE"))
  var archive: [String] = []

  @Option(help: ArgumentHelp("The archive's digest: another one is refused.", valueName: "HEX"))
  var sha256: String?

  @Flag(help: "Accept probes of the public port from inside the host, where it can't be probed from outside.")
  var acceptLocalProbes = false

  @Flag(help: "Try a release again on hosts where it was rolled back; needs --reason.")
  var again = false

  @Flag(help: "Take over live leases of other controllers; needs --reason.")
  var takeOver = false

  @OptionGroup var why: ReasonOptions

  /// `plan` writes no journal; it takes the folder so that the words of a plan are those of its start.
  @OptionGroup var state: StateOptions
}

/// Reads all files, says everything that is wrong with them, and freezes a plan. Contacts no host.
struct PlanBuilder {
  let options: PlanOptions

  func plan(id: (AgentName, Version) -> String) async throws -> Plan {
    var problems: [String] = []
    var agent: AgentDefinition?
    var policy: Policy?
    var hosts: [Host] = []
    do throws(FileProblems) {
      agent = try AgentFile.load(path: options.agent, forPlan: true)
    } catch {
      problems.append("\(error)")
    }
    do { _ = try options.state.checked() } catch let error as CommandError {
      problems.append(error.description)
    }
    do { hosts = try await Inventory.load(path: options.hosts.inventory, limit: options.hosts.limit) } catch {
      problems.append("\(error)")
    }
    do throws(FileProblems) {
      policy = try PolicyFile.load(
        path: options.policy, fleet: hosts.isEmpty ? nil : hosts.count, playbooksMustExist: true)
    } catch {
      problems.append("\(error)")
    }
    let version = Version(options.release)
    if version == nil {
      problems.append(
        "--version \(escapedForTerminal(options.release)): not a version; use letters, digits and .+_~-, 64 at most"
      )
    }
    if options.again || options.takeOver, options.why.reason.isEmpty {
      problems.append(
        "--\(options.again ? "again" : "take-over") needs --reason TEXT, which is kept in the journal")
    }
    var archives: [ReleaseArchive] = []
    do { archives = try await Archives.load(options.archive, sha256: options.sha256) } catch let error
      as CommandError
    {
      problems.append(error.description)
    }
    if let agent { archives = self.archives(archives, of: agent, &problems) }
    if let floor = agent?.floor, let version, version.isBelow(floor) {
      problems.append(
        "--version \(version): below \(options.agent)'s floor, \(floor); choose a later version, or lower the floor"
      )
    }
    guard problems.isEmpty, var agent, var policy, let version else {
      throw CommandError.invalid(problems.joined(separator: "\n"))
    }
    try await PlannedRuns.freeze(&agent, of: options.agent, &policy, of: options.policy, for: hosts)
    return freeze(
      id(agent.name, version), agent, policy, Release(version: version, archives: archives), hosts)
  }

  /// What the release consists of: the archives that were named, or the image in a registry.
  private func archives(
    _ named: [ReleaseArchive], of agent: AgentDefinition, _ problems: inout [String]
  ) -> [ReleaseArchive] {
    guard let image = agent.container?.image else {
      if options.archive.isEmpty { problems.append("--archive FILE is missing: it is what hosts are to run") }
      return named
    }
    if !options.archive.isEmpty {
      problems.append(
        "--archive: \(options.agent) names the image \(image), which hosts fetch; remove one of the two")
    }
    return [ReleaseArchive(image: image)]
  }

  private func freeze(
    _ id: String, _ agent: AgentDefinition, _ policy: Policy, _ release: Release, _ hosts: [Host]
  ) -> Plan {
    let waves = PlannedWave.waves(of: policy, total: hosts.count)
    // A policy that stops short of the fleet leaves the rest to another rollout.
    let covered = waves.reduce(0) { $0 + $1.count }
    return Plan(
      id: id, agent: agent, policy: policy, release: release, hosts: Array(hosts.prefix(covered)),
      waves: waves,
      acceptLocalProbes: options.acceptLocalProbes, again: options.again ? options.why.reason : nil,
      takeOver: options.takeOver ? options.why.reason : nil, owner: Person.name)
  }
}

/// Names of runs.
enum RunID {
  /// `AGENT-VERSION-XXXX`, safe in a path: what may not stand there becomes a dash.
  static func make(_ agent: AgentName, _ version: Version) -> String {
    "\(agent.text)-\(safe(version.text))-\(suffix())"
  }

  /// `playbook-NAME-XXXX`, of a playbook's path.
  static func make(playbook: String) -> String {
    let name = playbook.split(separator: "/").last.map { $0.prefix { $0 != "." } } ?? ""
    return "playbook-\(safe(String(name)))-\(suffix())"
  }

  /// An ID stands in the path of a socket, which is short.
  private static func safe(_ text: String) -> String {
    String(text.prefix(32).map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") ? $0 : "-" })
  }

  private static func suffix() -> String {
    let letters = Array("abcdefghjkmnpqrstuvwxyz23456789")
    return String((0..<5).compactMap { _ in letters.randomElement() })
  }

  /// Whether text that a person gave can be an ID.
  static func isPossible(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 128 && !text.hasPrefix(".")
      && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") }
  }
}
