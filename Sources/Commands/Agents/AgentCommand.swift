import ArgumentParser

struct AgentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "agent",
    abstract: "Switchyard's own agent on hosts: look at it, steer it, and ask it for what it does.",
    subcommands: [
      AgentRegisterVerb.self, AgentInstallVerb.self, AgentListVerb.self, AgentStatusVerb.self,
      AgentStartVerb.self, AgentStopVerb.self, AgentRestartVerb.self, AgentExecVerb.self,
      AgentUploadVerb.self,
      AgentUninstallVerb.self,
    ])
}

/// One host of `agent … --output json`, and how a line tells of it.
struct AgentRow: Encodable {
  var host: String
  var ok: Bool
  /// The door that was taken, and why.
  var door: String?
  var text: String
  /// The slot's unit, where the verb is about that.
  var unit: String?
  var state: String?

  var line: String {
    let way = door.map { " [\(escapedLine($0))]" } ?? ""
    return "\(escapedLine(host))  \(escapedLine(text))\(way)"
  }
}

/// How verbs tell of many hosts.
enum AgentReport {
  /// Prints the rows; ends with the exit code for those that are not well.
  static func tell(_ rows: [AgentRow], _ output: OutputOptions) throws {
    if output.isJSON {
      try Output.json(rows)
    } else {
      for row in rows { Output.line(row.line) }
    }
    if rows.contains(where: { !$0.ok }) { throw ExitCode(CommandError.toolError) }
  }
}
