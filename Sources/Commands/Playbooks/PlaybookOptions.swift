import ArgumentParser
import FoundationEssentials
import MarkedYAML
import Playbooks
import Ports
import RolloutModel

/// Which way hosts are reached.
enum PlaybookDoorName: String, ExpressibleByArgument {
  case ssh, rpc, auto
}

struct PlaybookDoorOptions: ParsableArguments {
  @Option(
    help:
      "ssh: Ansible on this machine; rpc: on the hosts, behind their agents; auto: rpc where the agent answers, ssh otherwise. Default: what the agent file says, else ssh."
  )
  var door: PlaybookDoorName?

  @Option(help: ArgumentHelp("The agent file that says how agents are spoken to.", valueName: "FILE"))
  var agent: String?

  /// The choice, and what it needs; nil for SSH. Errors: the files.
  func choice() throws -> RPCDoorChoice? {
    let definition = try agent.map(HostFleet.agent)
    guard let door else { return definition?.rpc }
    guard door != .ssh else { return nil }
    guard var choice = definition?.rpc else {
      throw CommandError.invalid(
        agent == nil
          ? "--door \(door.rawValue) needs --agent FILE, which says how agents are spoken to"
          : "--door \(door.rawValue): the agent file has no rpc: {authority, certificate, key} with door: rpc or auto; add it"
      )
    }
    choice.fallsBack = door == .auto
    return choice
  }
}

struct PlaybookCheckOption: ParsableArguments {
  @Flag(help: "Change nothing; say what would be changed.")
  var check = false
}

struct PlaybookRunOptions: ParsableArguments {
  @Option(
    name: [.customShort("e"), .customLong("extra-var")],
    help: ArgumentHelp(
      "A variable: NAME=TEXT, always text, or NAME:=JSON. May be given several times.", valueName: "NAME=TEXT"
    ))
  var extraVars: [String] = []

  @Option(
    help: ArgumentHelp("A YAML or JSON file of variables. May be given several times.", valueName: "FILE"))
  var vars: [String] = []

  @Option(
    name: .customLong("file"),
    help: ArgumentHelp(
      "A file of this machine: it travels with the run, and the variable NAME holds its path. May be given several times.",
      valueName: "NAME=FILE"))
  var files: [String] = []

  @Option(
    help: ArgumentHelp(
      "A file with the password of vaults; what tasks say is withheld then.", valueName: "FILE"))
  var vaultPasswordFile: String?

  @Option(help: ArgumentHelp("Hosts that are worked on at once.", valueName: "N"))
  var forks = 10

  @Option(help: ArgumentHelp("The most that the run may take, as 30m.", valueName: "DURATION"))
  var deadline = "30m"

  @Option(
    help: ArgumentHelp(
      "Ansible's runner (or SWITCHYARD_ANSIBLE_RUNNER); default: ansible-runner on the PATH.",
      valueName: "FILE"))
  var ansibleRunner: String?

  /// The job that the options say. Errors: all that is wrong with options and files.
  func job(project: String, playbook: String, _ options: InventoryOptions) async throws -> PlaybookJob {
    guard (1...100).contains(forks) else { throw CommandError.invalid("--forks is 1 to 100") }
    guard let span = Span(deadline), span > .zero else {
      throw CommandError.invalid("--deadline \(escapedForTerminal(deadline)) is no duration; write 30m or 1h")
    }
    let hosts = try await HostFleet.load(options)
    var job = PlaybookJob(
      project: project, playbook: playbook, inventory: Self.absolute(options.inventory), hosts: hosts,
      variables: try variables())
    job.attachments = try files.map { text in
      guard let sign = text.firstIndex(of: "="), sign != text.startIndex else {
        throw CommandError.invalid("--file \(escapedForTerminal(text)) is not NAME=FILE")
      }
      return PlaybookJob.Attachment(
        variable: String(text[..<sign]), path: String(text[text.index(after: sign)...]))
    }
    job.vaultPassword = vaultPasswordFile.map(Self.absolute)
    job.sources = vars
    job.forks = forks
    job.deadline = span.duration
    return job
  }

  private func variables() throws -> [String: PlaybookValue] {
    var values: [String: PlaybookValue] = [:]
    for path in vars {
      do throws(FileProblems) {
        values.merge(try Variables.file(path), uniquingKeysWith: { _, last in last })
      } catch {
        throw CommandError.invalid("\(error)")
      }
    }
    for text in extraVars {
      guard let (name, value) = Variables.argument(text) else {
        // Its value may be a secret: it is not repeated.
        let name = escapedForTerminal(text.prefix { $0 != "=" }, limit: 60)
        throw CommandError.invalid("-e \(name)… is neither NAME=TEXT nor NAME:=JSON")
      }
      values[name] = value
    }
    return values
  }

  static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }
}
