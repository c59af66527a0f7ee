import ArgumentParser
import Ports

struct PlaybookCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "playbook", abstract: "Run Ansible playbooks on hosts, over SSH or behind their agents.",
    subcommands: [PlaybookRunVerb.self])
}

struct PlaybookRunVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run one playbook to its end.",
    discussion: """
      Exit codes: 0 every host has done it, 1 none has, or a tool error, 2 invalid input (nothing changed), 7 some hosts have, \
      8 ended by a signal, 124 ended at the deadline.
      """)

  @Argument(help: "The playbook.")
  var file: String

  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var door: PlaybookDoorOptions
  @OptionGroup var run: PlaybookRunOptions
  @OptionGroup var check: PlaybookCheckOption
  @OptionGroup var state: StateOptions
  @OptionGroup var output: OutputOptions

  @Option(
    help: ArgumentHelp(
      "The folder with all that the playbook needs, itself included; default: its own folder.",
      valueName: "DIR"))
  var project: String?

  func run() async throws {
    let (project, playbook) = try Self.place(file, in: project)
    var job = try await run.job(project: project, playbook: playbook, inventory)
    job.isCheck = check.check
    let ended = try await PlaybookWork(
      job: job, door: door, output: output, runner: run.ansibleRunner, state: state
    )
    .carryOut()
    try ended.leave()
  }

  /// The project's folder, and the playbook's path in it.
  static func place(_ file: String, in project: String?) throws -> (project: String, playbook: String) {
    guard let project else {
      guard let slash = file.lastIndex(of: "/") else { return (".", file) }
      return (
        slash == file.startIndex ? "/" : String(file[..<slash]), String(file[file.index(after: slash)...])
      )
    }
    let folder = project.hasSuffix("/") ? project : project + "/"
    let path = file.hasPrefix(folder) ? String(file.dropFirst(folder.count)) : file
    guard !path.hasPrefix("/") else {
      throw CommandError.invalid(
        "--project: the playbook is not in that folder; name the folder that holds it")
    }
    return (project, path)
  }
}
