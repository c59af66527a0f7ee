import RolloutModel

/// How far an installation came, for what is said where it fails: 2 means that nothing was changed, and agents that are live are named.
struct InstallationProgress {
  /// Names that certificates were issued to.
  var issued: [String]
  /// Whether hosts may have been changed.
  var isBegun = false
  /// Hosts that have their agent.
  var installed: [Host] = []

  init(issued: [String]) { self.issued = issued }

  /// What had been done before a failure; nil for nothing.
  var done: String? {
    if !installed.isEmpty {
      return "agents were installed on \(AgentInstallation.named(installed)), and are live"
    }
    guard !isBegun, !issued.isEmpty else { return nil }
    return "certificates were issued to \(issued.joined(separator: ", ")); no host was changed"
  }

  /// A failure with what had been done before it.
  func failure(_ error: CommandError) -> CommandError {
    let text = "\(error)" + (done.map { "\n\($0)" } ?? "")
    let isUnchanged = issued.isEmpty && !isBegun
    let code = error.code == CommandError.invalidInput && !isUnchanged ? CommandError.toolError : error.code
    return CommandError(code: code, description: text)
  }
}
