import FoundationEssentials
import Glibc
import MarkedYAML
import RolloutModel

/// What a good configuration asks of the host.
enum ConfigurationCheck {
  /// Throws what is not as the configuration has it. The host program's socket may come later.
  static func outside(
    _ configuration: AgentConfiguration, file: String, identity: Identity
  ) throws(FileProblems) {
    let diagnostics = Diagnostics(file: file)
    if let end = identity.expires, end <= Date() {
      diagnostics.report(
        .start, "the agent's certificate is not valid any more", "renew it", file: configuration.certificate)
    }
    if FileState.isOpenToAll(configuration.key) {
      diagnostics.report(
        .start, "everybody may read or write the key", "take that right away: chmod o-rwx",
        file: configuration.key)
    }
    for (name, command) in configuration.commands.sorted(by: { $0.key < $1.key }) {
      guard let program = command.run.first, access(program, X_OK) != 0 else { continue }
      diagnostics.report(
        .start,
        "the command \(name) runs \(quoted(program)), which can't be run: \(String(cString: strerror(errno)))",
        "install it, or remove the command")
    }
    try diagnostics.throwIfAny()
  }
}
