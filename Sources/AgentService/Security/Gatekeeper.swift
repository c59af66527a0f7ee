import Crypto
import FoundationEssentials
import HTTPTypes
import NIOCore
import NIOSSL
import RolloutModel
import SwiftASN1
import X509

/// Decides who may ask for what below `/v1`.
struct Gatekeeper: Sendable {
  let credentials: Credentials
  let connections: Connections
  let controllers: [String]?
  /// The SHA-256 of the token that is asked for; nil where none is.
  let tokenHash: RolloutModel.Digest?

  /// Who makes a request, if it may be served: by the connection's certificate, and by the token where one is asked for.
  func caller(of headers: HTTPFields, on channel: any Channel) async throws -> Caller {
    let caller = try await caller(on: channel)
    guard let tokenHash else { return caller }
    // Only now: whoever shows no certificate can't try tokens.
    guard let token = Self.token(headers), Self.isToken(token, of: tokenHash) else {
      throw AgentError(
        .unauthorized, "token_required",
        "this agent asks for its token beside the client certificate, and none or another one came",
        hint: "send Authorization: Bearer TOKEN; in an agent file, rpc: {token: FILE}")
    }
    return caller
  }

  /// Ends what is under way for those whose certificate was taken back. An idle connection of theirs is told so at its next request.
  /// Whose certificate, list or authority has come to its end may finish what it began: it may be what replaces the authority.
  func review() {
    guard let revoked = credentials.current.revoked else { return }
    connections.sever(for: "the client certificate is revoked") { revoked.takesBack($0) }
  }

  /// Throws where a caller's certificate was taken back while it was let in: a review in between knew nothing of it.
  func checkAgain(_ caller: Caller) throws(AgentError) {
    guard credentials.current.revoked?.takesBack(caller.certificate) ?? false else { return }
    throw .forbidden("the client certificate of \(caller.label) is revoked", hint: "have another one issued")
  }

  /// Compares hashes, all of both whatever they are: how long that takes tells nothing of the token.
  private static func isToken(_ token: Substring, of wanted: RolloutModel.Digest) -> Bool {
    guard let hash = RolloutModel.Digest(bytes: Array(SHA256.hash(data: Data(token.utf8)))) else {
      return false
    }
    let difference = zip(hash.hex.utf8, wanted.hex.utf8).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
    return difference == 0
  }

  private static func token(_ headers: HTTPFields) -> Substring? {
    guard let text = headers[.authorization], text.utf8.count <= 1024 else { return nil }
    let parts = text.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts.first?.lowercased() == "bearer" else { return nil }
    return parts.last
  }

  private func caller(on channel: any Channel) async throws -> Caller {
    guard let shown = try await channel.nioSSL_peerCertificate().get() else {
      throw AgentError(
        .unauthorized, "unauthorized", "this path asks for a client certificate",
        hint: "show one that the agent's authority issued")
    }
    let certificate: Certificate
    do { certificate = try Certificate(derEncoded: shown.toDERBytes()) } catch {
      throw AgentError.forbidden("the client certificate can't be read", hint: "have it issued anew")
    }
    // Today's authorities and list, whenever the connection was made: a controller that is revoked begins nothing more.
    let current = credentials.current
    guard let former = connections.identity(of: channel),
      current.stillTrusts(certificate, provenBy: former)
    else {
      throw AgentError(
        .unauthorized, "authority_replaced",
        "the agent's authority was replaced since this connection was made, and the client certificate is of the former one",
        hint: "connect anew, with a certificate that the agent's authority issued")
    }
    return try Caller(certificate, controllers: controllers, revoked: current.revoked, now: Date())
  }
}
