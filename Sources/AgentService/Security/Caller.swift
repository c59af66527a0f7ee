import FoundationEssentials
import RolloutModel
import SwiftASN1
import X509

/// A client that showed a certificate and may be served.
struct Caller: Hashable, Sendable {
  /// Its common name and its DNS names, as the certificate has them.
  let names: [String]
  /// What it showed.
  let certificate: Certificate

  /// What the log calls it.
  var label: String { names.first.map { escapedForTerminal($0, limit: 100) } ?? "unnamed" }

  /// Whose certificate this is, if it may be served now. That the authority signed it, the handshake has seen; it is asked here
  /// again whether it is still valid, as connections live long.
  init(
    _ certificate: Certificate, controllers: [String]?, revoked: (any RevokedSerials)?, now: Date
  ) throws(AgentError) {
    names = Self.names(of: certificate)
    self.certificate = certificate
    guard certificate.notValidBefore <= now, now <= certificate.notValidAfter else {
      throw .forbidden("the client certificate of \(label) is not valid at this time", hint: "renew it")
    }
    guard Self.isForClients(certificate) else {
      throw .forbidden(
        "the certificate of \(label) is not made for clients",
        hint: "have it issued with the usage clientAuth")
    }
    if let revoked {
      guard revoked.nextUpdate.map({ now <= $0 }) ?? true else {
        throw .forbidden(
          "the agent's revocation list is out of date, so that nobody can be told from the revoked",
          hint: "bring the authority's latest list to the host")
      }
      guard !revoked.takesBack(certificate) else {
        throw .forbidden("the client certificate of \(label) is revoked", hint: "have another one issued")
      }
    }
    if let controllers, !names.contains(where: { controllers.contains($0) }) {
      throw .forbidden(
        "\(label) is none of this agent's controllers",
        hint: "add its name to controllers in the configuration")
    }
  }

  private static func names(of certificate: Certificate) -> [String] {
    var names: [String] = []
    for part in certificate.subject {
      for attribute in part where attribute.type == .RDNAttributeType.commonName {
        if let name = String(attribute.value) { names.append(name) }
      }
    }
    // Alternative names that can't be read name nobody.
    guard let alternatives = try? certificate.extensions.subjectAlternativeNames else { return names }
    for case .dnsName(let name) in alternatives { names.append(name) }
    return names
  }

  private static func isForClients(_ certificate: Certificate) -> Bool {
    // A usage that can't be read is none.
    guard let usage = try? certificate.extensions.extendedKeyUsage else { return false }
    return usage.contains(.clientAuth)
  }
}
