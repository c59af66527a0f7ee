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

  /// A failure with what had been done before it.
  func failure(_ error: CommandError) -> CommandError {
    var text = "\(error)"
    if !isBegun, !issued.isEmpty {
      text += "\ncertificates were issued to \(issued.joined(separator: ", ")); no host was changed"
    }
    if !installed.isEmpty {
      text += "\nagents were installed on \(AgentInstallation.named(installed)), and are live"
    }
    let isUnchanged = issued.isEmpty && !isBegun
    let code = error.code == CommandError.invalidInput && !isUnchanged ? CommandError.toolError : error.code
    return CommandError(code: code, description: text)
  }
}
