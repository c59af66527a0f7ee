import FoundationEssentials
import Ports
import RolloutModel

/// A run whose files are in place and were checked.
struct PreparedRun: Sendable {
  let job: PlaybookJob
  let tools: AnsibleTools
  let folder: RunFolder
  let surroundings: Surroundings
  let project: ProjectSnapshot
  let variables: HostVariables

  /// Whether nothing of what tasks say may be told.
  let isSecret: Bool

  /// The folder, inside the run's own, of the part that has this name: what the runner takes its job from.
  func place(_ part: String) -> String { "\(folder.path)/\(part)" }

  /// Writes a part's files: an inventory, extra variables, attachments, what the runner is told.
  func write(_ part: String, inventory: String, hasVault: Bool) async throws(PlaybookError) {
    let (job, folder) = (job, folder)
    try await Blocking.run { () throws(PlaybookError) in
      for name in ["inventory", "env", "attached"] { try folder.makeFolder("\(part)/\(name)") }
      try folder.write(inventory, to: "\(part)/inventory/hosts.yml")
      var variables = job.variables
      for attachment in job.attachments {
        let name = attachment.path.split(separator: "/").last.map { String($0) } ?? "file"
        try folder.makeFolder("\(part)/attached/\(attachment.variable)")
        let place = "attached/\(attachment.variable)/\(name)"
        try folder.write(try Self.content(attachment.path), to: "\(part)/\(place)")
        variables[attachment.variable] = .text("{{ inventory_dir }}/../\(place)")
      }
      try folder.write(PlaybookValue.map(variables).yaml + "\n", to: "\(part)/env/extravars")
      let line = try Self.commandLine(job)
      if !line.isEmpty { try folder.write(line + "\n", to: "\(part)/env/cmdline") }
      if hasVault, let vault = job.vaultPassword {
        try folder.write(try Self.content(vault), to: "\(part)/env/vault-password")
      }
    }
  }

  /// What Ansible is told beside the runner's own arguments.
  private static func commandLine(_ job: PlaybookJob) throws(PlaybookError) -> String {
    for tag in job.tags
    where !tag.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0)) }) || tag.isEmpty
    {
      throw PlaybookError(
        .invalid, "\(escapedForTerminal(tag)) is no tag", hint: "use letters, digits, - and _")
    }
    let parts =
      (job.isCheck ? ["--check"] : [])
      + (job.tags.isEmpty ? [] : ["--tags", job.tags.joined(separator: ",")])
    return parts.joined(separator: " ")
  }

  private static let attachmentLimit = 16 << 20

  private static func content(_ path: String) throws(PlaybookError) -> String {
    let name = escapedForTerminal(path)
    let data: Data
    do { data = try Data(contentsOf: URL(filePath: path)) } catch {
      throw PlaybookError(.invalid, "\(name) can't be read", hint: "name a file that you may read")
    }
    guard data.count <= attachmentLimit, let text = String(validating: data, as: UTF8.self) else {
      throw PlaybookError(
        .invalid, "\(name) is larger than \(attachmentLimit >> 20) MiB or no text",
        hint: "put it where the playbook can fetch it")
    }
    return text
  }

  /// Asks Ansible which hosts the playbook is for, which also shows whether it is in order: its syntax, the roles, modules and
  /// collections that it names. Nothing runs. Errors: whatever Ansible finds; no host is meant.
  func check() async throws(PlaybookError) {
    try await write(
      "check", inventory: variables.inventory(of: job.hosts, connection: surroundings.overSSH),
      hasVault: false)
    var arguments = [
      "--list-hosts", "--inventory", place("check/inventory"), "--extra-vars",
      "@" + place("check/env/extravars"),
    ]
    if let vault = job.vaultPassword { arguments += ["--vault-password-file", vault] }
    let tool = Tool(
      program: tools.playbook, arguments: arguments + [job.playbook], environment: surroundings.variables,
      folder: project.path)
    let (end, bytes) = try await tool.output(upTo: 8 << 20, within: .seconds(120))
    guard end.isGood else {
      throw PlaybookError(
        .invalid,
        "\(escapedForTerminal(job.playbook)) can't be run: \(named(lastWords(end.complaints))). Nothing was changed",
        hint: "correct it; ansible-playbook --list-hosts shows the same")
    }
    let counts = String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
      line.firstMatch(of: /^ *hosts \((\d{1,9})\):/).flatMap { Int($0.1) }
    }
    guard counts.contains(where: { $0 > 0 }) else {
      throw PlaybookError(
        .invalid,
        "no play of \(escapedForTerminal(job.playbook)) is for any of the \(job.hosts.count) hosts. Nothing was changed",
        hint: "see hosts: in the playbook, the inventory's groups, and --limit")
    }
  }

  /// A text of Ansible's with the project's own name in place of the copy's.
  private func named(_ text: String) -> String {
    text.replacing(project.path, with: escapedForTerminal(job.project))
  }
}
