import FoundationEssentials
import RolloutModel

/// The `agent.yml` that an installation brings.
struct AgentConfigurationText: Sendable {
  /// The one controller that is let in; nil for every client of the authority.
  var controller: String?
  /// The digest of the token that agents ask for.
  var tokenDigest: RolloutModel.Digest
  /// Lines of the user's own.
  var more: String

  private static let limit = 256 * 1024

  /// The text for agents on these ports.
  func text(_ agent: AgentDefinition) -> String {
    let tls = "/etc/switchyard-agent/tls"
    var lines = [
      "listen: 0.0.0.0", "certificate: \(tls)/agent.pem", "key: \(tls)/agent.key", "authority: \(tls)/ca.pem",
      "revoked: \(tls)/crl.pem", "tunnels: [\(agent.slots.blue), \(agent.slots.green)]",
      "token_sha256: \"\(tokenDigest)\"",
    ]
    if let controller { lines.append("controllers: [\"\(controller)\"]") }
    return lines.joined(separator: "\n") + "\n" + more
  }

  /// What a file of the user's own says; nothing where none is named. What it gets wrong the agent's own check tells on the host.
  static func more(_ path: String?) async throws -> String {
    guard let path else { return "" }
    return try await offThePool {
      let data: Data
      do { data = try Data(contentsOf: URL(filePath: path)) } catch {
        throw CommandError.invalid("--config \(escapedForTerminal(path)) can't be read")
      }
      guard data.count <= limit, let text = String(validating: data, as: UTF8.self) else {
        throw CommandError.invalid("--config \(escapedForTerminal(path)) is no text of up to \(limit) bytes")
      }
      return text.hasSuffix("\n") || text.isEmpty ? text : text + "\n"
    }
  }
}
