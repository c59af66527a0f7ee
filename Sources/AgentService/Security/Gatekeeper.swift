import FoundationEssentials
import HTTPTypes
import NIOCore
import NIOSSL

/// Decides who may ask for what below `/v1`.
struct Gatekeeper: Sendable {
  let credentials: Credentials
  let controllers: [String]?

  /// Who is at the other end of a connection, if it may be served.
  func caller(on channel: any Channel) async throws -> Caller {
    guard let certificate = try await channel.nioSSL_peerCertificate().get() else {
      throw AgentError(
        .unauthorized, "unauthorized", "this path asks for a client certificate",
        hint: "show one that the agent's authority issued")
    }
    // Today's list, whenever the connection was made: a controller that is revoked begins nothing more.
    return try Caller(
      certificate: try certificate.toDERBytes(), controllers: controllers,
      revoked: credentials.current.revoked, now: Date())
  }
}
