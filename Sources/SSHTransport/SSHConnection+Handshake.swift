import CSSH2
import Crypto
import EventLoop
import FoundationEssentials

/// What a connection needs to know the host and to be known by it; read from files before, off the loop.
struct Credentials: Sendable {
  /// The lines about this host.
  var knownHosts: KnownHosts
  var keyFiles: [PrivateKeyFile]
  /// One line for each file that was named and can't be used.
  var passedOver: [String]
}

extension SSHConnection {
  /// The key exchange, and the check of the host's key. Nothing of ours is sent before it is trusted.
  func shakeHands(_ known: KnownHosts) async throws(SSHError) {
    let names = KnownHosts.names(host: target.address, port: target.port, alias: target.hostKeyAlias)
    let types = known.preferredTypes(for: names).flatMap { type in
      type == "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"] : [type]
    }
    // Types that this libssh2 doesn't have are left out by it.
    libssh2_session_method_pref(session.handle, LIBSSH2_METHOD_HOSTKEY, types.joined(separator: ","))
    let descriptor = session.descriptor
    let outcome = await perform { [session] in
      Int(libssh2_session_handshake(session.handle, descriptor))
    }
    guard outcome.code == 0 else { throw error(outcome) { .handshake($0) } }
    var length = 0
    var kind: Int32 = 0
    guard let bytes = libssh2_session_hostkey(session.handle, &length, &kind),
      let key = PublicKey(
        blob: bytes.withMemoryRebound(to: UInt8.self, capacity: length) {
          Array(UnsafeBufferPointer(start: $0, count: length))
        })
    else { throw target.error(.handshake("the host has shown no key")) }
    try check(key, names: names, known: known)
  }

  private func check(_ key: PublicKey, names: [String], known: KnownHosts) throws(SSHError) {
    let digest = Data(SHA256.hash(data: Data(key.blob))).base64EncodedString()
    let fingerprint = "SHA256:" + digest.prefix { $0 != "=" }
    switch known.verdict(on: key, names: names) {
    case .trusted: return
    case .unknown(let instead):
      if target.unknownKeys == .accept, instead.isEmpty { return }
      throw target.error(.hostKeyUnknown(type: key.type, fingerprint: fingerprint, instead: instead))
    case .changed(let place):
      throw target.error(.hostKeyChanged(type: key.type, fingerprint: fingerprint, place: place))
    case .revoked(let place): throw target.error(.hostKeyRevoked(fingerprint: fingerprint, place: place))
    case .unsupported(let kind, let place): throw target.error(.hostKeyUnsupported(kind: kind, place: place))
    }
  }

  /// Tries the keys until one is accepted.
  func authenticate(_ credentials: Credentials) async throws(SSHError) {
    var tried = credentials.passedOver
    var agent: AgentClient?
    var identities: [AgentClient.Identity] = []
    // The agent is not asked where a file alone is enough: one round trip less.
    let (direct, _) = KeyCandidate.plan(files: credentials.keyFiles, agent: [], identitiesOnly: true)
    if let first = direct.first, !first.isRSA {
      if try await isAccepted(first, agent: nil, after: tried) { return }
      tried.append(first.label + ": refused")
    }
    if let path = target.agentSocket {
      do throws(LocalFileError) {
        let client = try AgentClient(path: path, loop: loop)
        agent = client
        identities = try await listed(client)
      } catch {
        // The deadline, or the host's goodbye, ends the waiting for the agent, too.
        if let failure = session.failure { throw target.error(failure) }
        tried.append("the agent at \(error)")
      }
    }
    defer { agent?.close() }
    let (candidates, passedOver) = KeyCandidate.plan(
      files: credentials.keyFiles, agent: identities, identitiesOnly: target.identitiesOnly)
    var hasTriedRSA = false
    for candidate in candidates where !tried.contains(candidate.label + ": refused") {
      if try await isAccepted(candidate, agent: agent, after: tried) { return }
      tried.append(candidate.label + ": refused")
      if candidate.isRSA, !hasModernRSA { hasTriedRSA = true }
    }
    tried += passedOver
    throw target.error(
      .authentication(tried: tried, hint: hint(hasTriedRSA: hasTriedRSA, passedOver: passedOver)))
  }

  private func hint(hasTriedRSA: Bool, passedOver: [String]) -> String {
    if hasTriedRSA {
      return
        "libssh2 \(String(cString: libssh2_version(0))) signs with RSA keys in a way that sshd has refused since"
        + " OpenSSH 8.8: use an ed25519 or ECDSA key"
    }
    if passedOver.contains(where: { $0.contains("passphrase") }) {
      return "add the key to an ssh-agent with ssh-add, and let SSH_AUTH_SOCK point to it"
    }
    return "check ansible_user and ansible_ssh_private_key_file, and the host's authorized_keys"
  }

  private func listed(_ agent: AgentClient) async throws(LocalFileError) -> [AgentClient.Identity] {
    let failing = session.onFailure
    session.onFailure = { agent.close() }
    defer { session.onFailure = failing }
    let identities = await withCheckedContinuation { continuation in
      agent.identities { continuation.resume(returning: $0) }
    }
    guard let identities else {
      throw LocalFileError(path: target.agentSocket ?? "", code: 0, other: "no answer")
    }
    return identities
  }

  private func isAccepted(
    _ candidate: KeyCandidate, agent: AgentClient?, after tried: [String]
  ) async throws(SSHError) -> Bool {
    let user = target.user
    let outcome: Outcome
    switch candidate {
    case .file(let file):
      outcome = await perform { [session] in
        file.text.withUnsafeBytes { text in
          Int(
            libssh2_userauth_publickey_frommemory(
              session.handle, user, user.utf8.count, nil, 0,
              text.baseAddress?.assumingMemoryBound(to: CChar.self),
              text.count, ""))
        }
      }
    case .agent(let identity):
      guard let agent else { return false }
      outcome = await isAccepted(identity.key, agent: agent)
    }
    if let failure = session.failure {
      if case .lost(let why) = failure {
        // What sshd does after too many keys.
        throw target.error(
          .authentication(
            tried: tried + ["\(candidate.label): \(why)"], hint: hint(hasTriedRSA: false, passedOver: [])))
      }
      throw target.error(failure)
    }
    return outcome.code == 0
  }

  private func isAccepted(_ key: PublicKey, agent: AgentClient) async -> Outcome {
    let request = SigningRequest()
    let user = target.user
    var isAsked = false
    let context = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: 1)
    context.initialize(to: Unmanaged.passUnretained(request).toOpaque())
    defer { context.deallocate() }
    return await perform { [session] in
      let result = key.blob.withUnsafeBufferPointer { blob in
        libssh2_userauth_publickey(
          session.handle, user, blob.baseAddress, blob.count, SigningRequest.callback, context)
      }
      if result == LIBSSH2_ERROR_EAGAIN, let data = request.data, !isAsked {
        isAsked = true
        agent.sign(data, with: key) { signature in
          request.signature = signature
          request.hasFailed = signature == nil
          session.pump()
        }
      }
      return Int(result)
    }
  }
}
