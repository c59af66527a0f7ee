import Glibc
import Testing

@testable import SSHTransport

@Suite("Keys of users", .serialized, .timeLimit(.minutes(2)))
struct AuthenticationTests {
  @Test("A key from a file opens the door", arguments: [Keys.Name.user, .userECDSA, .userECDSA521])
  func files(_ key: Keys.Name) async throws {
    let site = try await Site(authorized: [key])
    try site.configure(identity: key)
    #expect(try await site.connect() == nil)
  }

  @Test("The next key is tried when the first one is refused")
  func secondKey() async throws {
    let site = try await Site()
    try site.configure(identity: .user, ["IdentityFile \(site.keys.path(.stranger))"])
    #expect(try await site.connect() == nil)
  }

  @Test("An encrypted key without an agent is named, with what to do")
  func encrypted() async throws {
    let site = try await Site(authorized: [.userEncrypted])
    try site.configure(identity: .userEncrypted)
    let error = try #require(try await site.connect())
    #expect(
      error.description.contains("userEncrypted: needs a passphrase, and the agent does not hold it"),
      "\(error)")
    #expect(error.hint.contains("ssh-add"))
  }

  @Test("RSA keys, which libssh2 before 1.11 can't use with today's sshd, are named as the cause")
  func rsa() async throws {
    let site = try await Site(authorized: [.userRSA])
    try site.configure(identity: .userRSA)
    let error = try await site.connect()
    if hasModernRSA {
      #expect(error == nil)
    } else {
      let error = try #require(error)
      #expect(error.description.contains("userRSA: refused"), "\(error)")
      #expect(error.hint.contains("OpenSSH 8.8: use an ed25519 or ECDSA key"), "\(error)")
    }
  }

  @Test("A key that the host does not know is refused, and said to be")
  func stranger() async throws {
    let site = try await Site()
    try site.configure(identity: .stranger)
    let error = try #require(try await site.connect())
    guard case .authentication(let tried, _) = error.reason else { throw Trouble("\(error)") }
    #expect(tried == ["\(site.keys.path(.stranger)): refused"])
    #expect(error.hint.contains("authorized_keys"))
  }

  @Test("A file that is no key, and one that isn't there, are named")
  func badFiles() async throws {
    let site = try await Site()
    let text = try site.folder.write("no-key", "nothing\n")
    try site.configure(
      identity: .stranger, ["IdentityFile \(text)", "IdentityFile \(site.folder.file("gone"))"])
    let error = try #require(try await site.connect())
    #expect(error.description.contains("no-key: not a private key"), "\(error)")
    #expect(error.description.contains("gone: No such file or directory"), "\(error)")
  }

  @Test("A host that closes after too many keys says which were tried")
  func tooManyKeys() async throws {
    let site = try await Site(settings: ["MaxAuthTries 2"])
    let keys = [Keys.Name.stranger, .otherHost, .userECDSA]
    try site.configure(identity: .user, keys.map { "IdentityFile \(site.keys.path($0))" })
    let error = try #require(try await site.connect())
    guard case .authentication(let tried, _) = error.reason else { throw Trouble("\(error)") }
    #expect(tried.first == "\(site.keys.path(.stranger)): refused")
    #expect(tried.count >= 2, "\(tried)")
  }

  @Test("A banner before the authentication does no harm")
  func banner() async throws {
    let site = try await Site()
    let text = try site.folder.write("banner", String(repeating: "For those who may only.\n", count: 200))
    let other = try await Site(settings: ["Banner \(text)"])
    #expect(try await other.connect() == nil)
  }

  // MARK: The agent

  /// Runs `body` with the socket of an agent of its own that holds these keys.
  private func withAgent(
    _ names: [Keys.Name], _ body: (String) async throws -> Void
  ) async throws {
    let folder = try Scratch()
    let socket = folder.file("agent")
    let agent = try Child(["ssh-agent", "-D", "-a", socket], output: folder.file("log"))
    defer { agent.stop() }
    let keys = try await Keys.all
    // Its socket is there a moment before it listens; then it says where.
    try await eventually("the agent listens") { try folder.text("log").contains("SSH_AUTH_SOCK") }
    for name in names {
      try await run([
        "env", "SSH_AUTH_SOCK=\(socket)", "SSH_ASKPASS=\(Site.program("askpass"))",
        "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0",
        "ssh-add", "-q", keys.path(name),
      ])
    }
    try await body(socket)
  }

  @Test("A key of the agent opens the door", arguments: [Keys.Name.user, .userECDSA, .userECDSA521])
  func agent(_ key: Keys.Name) async throws {
    let site = try await Site(authorized: [key])
    try await withAgent([.stranger, key]) { socket in
      try site.folder.write(
        "ssh_config",
        """
        IdentityAgent \(socket)
        IdentityFile none
        UserKnownHostsFile \(site.folder.file("known_hosts"))

        """)
      #expect(try await site.connect() == nil)
    }
  }

  @Test("The agent signs for an encrypted file")
  func agentForFile() async throws {
    let site = try await Site(authorized: [.userEncrypted])
    try await withAgent([.userEncrypted]) { socket in
      try site.configure(identity: .userEncrypted, ["IdentityAgent \(socket)"])
      #expect(try await site.connect() == nil)
    }
  }

  @Test("With IdentitiesOnly the agent's other keys are not shown")
  func identitiesOnly() async throws {
    let site = try await Site()
    try await withAgent([.user]) { socket in
      try site.configure(identity: .userEncrypted, ["IdentityAgent \(socket)"])
      let error = try #require(try await site.connect())
      #expect(error.description.contains("needs a passphrase"), "\(error)")
    }
  }

  @Test("Many connections share an agent")
  func manyWithAgent() async throws {
    let site = try await Site()
    try await withAgent([.user]) { socket in
      try site.folder.write(
        "ssh_config",
        "IdentityAgent \(socket)\nIdentityFile none\nUserKnownHostsFile \(site.folder.file("known_hosts"))\n")
      try await withThrowingTaskGroup { group in
        for _ in 0..<8 { group.addTask { try await site.connect() } }
        for try await error in group { #expect(error == nil) }
      }
    }
  }

  @Test("An agent that isn't there is named")
  func noAgent() async throws {
    let site = try await Site()
    try site.configure(identity: .stranger, ["IdentityAgent \(site.folder.file("no-agent"))"])
    let error = try #require(try await site.connect())
    #expect(
      error.description.contains("the agent at \(site.folder.file("no-agent")): No such file"), "\(error)")
  }

  @Test("An agent that never answers ends at the deadline, one that talks nonsense at once")
  func badAgents() async throws {
    let site = try await Site()
    try site.configure(identity: .stranger, ["IdentityAgent \(site.folder.file("silent"))"])
    let (silent, code) = listeningUnixSocket(site.folder.file("silent"))
    try #require(code == 0)
    defer { close(silent) }
    let error = try #require(try await site.connect { $0.stepWithin = .seconds(2) })
    #expect(error.reason == .deadline(.authenticating))
    #expect(connections(to: site.port) == 0)

    let nonsense =
      [[0, 0, 0, 1, 5], [255, 255, 255, 255, 12], [0, 0, 0, 5, 12, 255, 255, 255, 255]] as [[UInt8]]
    for (index, reply) in nonsense.enumerated() {
      let server = try Server(.unix(site.folder.file("agent\(index)"))) { connection in
        _ = connection.receive(atLeast: 5)
        connection.send(reply)
        _ = connection.receiveAll()
      }
      try site.configure(identity: .stranger, ["IdentityAgent \(site.folder.file("agent\(index)"))"])
      let error = try #require(try await site.connect())
      #expect(error.description.contains("no answer"), "\(error)")
      withExtendedLifetime(server) {}
    }
  }
}
