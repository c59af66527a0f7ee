import FoundationEssentials
import MarkedYAML
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

  /// Where an agent listens so that controllers reach it at a host's address. `::` takes IPv4 too, and is not there where the kernel has
  /// IPv6 switched off: only who is reached by IPv6 needs it. A name may lead to either.
  static func listen(at address: String) -> String { address.contains(":") ? "::" : "0.0.0.0" }

  /// Whether the user's own lines say where to listen. Lines that can't be read say nothing: why is told by the agent's own check.
  private var saysListen: Bool {
    (try? MarkedYAML.parse(Array(more.utf8), file: "--config"))?["listen"] != nil
  }

  /// The text for agents on these ports that listen there, unless the user's own lines say where.
  func text(_ agent: AgentDefinition, listen: String) -> String {
    let tls = "/etc/switchyard-agent/tls"
    var lines = [
      "certificate: \(tls)/agent.pem", "key: \(tls)/agent.key", "authority: \(tls)/ca.pem",
      "revoked: \(tls)/crl.pem", "tunnels: [\(agent.slots.blue), \(agent.slots.green)]",
      "token_sha256: \"\(tokenDigest)\"",
    ]
    if !saysListen { lines.insert("listen: \"\(listen)\"", at: 0) }
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
