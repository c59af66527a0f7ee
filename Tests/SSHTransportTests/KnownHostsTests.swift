import RolloutModel
import Testing

@testable import SSHTransport

@Suite("Keys of hosts", .serialized, .timeLimit(.minutes(2)))
struct KnownHostsTests {
  @Test("A host whose line is hashed is known")
  func hashed() async throws {
    let site = try await Site()
    try site.writeKnownHosts([
      "[127.0.0.1]:\(site.port + 1) \(try site.keys.publicKey(.otherHost))", try site.line(.host),
    ])
    try await run(["ssh-keygen", "-q", "-H", "-f", site.folder.file("known_hosts")])
    let text = try site.folder.text("known_hosts")
    #expect(text.hasPrefix("|1|") && !text.contains("127.0.0.1"))
    #expect(try await site.connect() == nil)
  }

  @Test("A host on another port is known by its bare name, too, as OpenSSH has it")
  func bareName() async throws {
    let site = try await Site()
    try site.writeKnownHosts(["127.0.0.1 \(try site.keys.publicKey(.host))"])
    #expect(try await site.connect() == nil)
  }

  @Test("The host is asked for a key of a type that is known", arguments: [Keys.Name.host, .hostECDSA])
  func types(_ known: Keys.Name) async throws {
    let site = try await Site(hostKeys: [.host, .hostECDSA, .hostRSA])
    try site.writeKnownHosts([try site.line(known)])
    #expect(try await site.connect() == nil)
  }

  @Test("Lines of several types, of other hosts and of no sense stand side by side")
  func severalLines() async throws {
    let site = try await Site(hostKeys: [.hostECDSA])
    try site.writeKnownHosts([
      "# a comment", "", "nonsense", "@strange h ssh-ed25519 AAAA",
      "[127.0.0.1]:\(site.port) ssh-ed25519 AAAA",
      "other.example \(try site.keys.publicKey(.otherHost))", try site.line(.hostRSA), try site.line(.host),
      try site.line(.otherHost), try site.line(.hostECDSA),
    ])
    #expect(try await site.connect() == nil)
  }

  @Test("The second file counts as the first does, and one that isn't there does no harm")
  func twoFiles() async throws {
    let site = try await Site()
    let second = try site.folder.write("second", try site.line(.host) + "\n")
    try site.writeKnownHosts(["other.example \(try site.keys.publicKey(.otherHost))"])
    var host = site.host
    host.knownHostsFiles = [site.folder.file("known_hosts"), site.folder.file("gone"), second]
    try await site.withDoor { door in _ = try await door.link(to: host).connection() }
    try site.configure([
      "UserKnownHostsFile \(site.folder.file("known_hosts")) \(site.folder.file("gone")) \"\(second)\""
    ])
    #expect(try await site.connect() == nil)
  }

  @Test("A HostKeyAlias is what the lines are searched for, without a port")
  func alias() async throws {
    let site = try await Site()
    try site.configure(["HostKeyAlias the-host"])
    #expect(try await site.connect()?.message.contains("is not known") == true)
    try site.writeKnownHosts(["the-host \(try site.keys.publicKey(.host))"])
    #expect(try await site.connect() == nil)
  }

  @Test("An unknown host is refused, with the command that shows its keys")
  func unknown() async throws {
    let site = try await Site()
    try site.writeKnownHosts(["other.example \(try site.keys.publicKey(.host))"])
    let error = try #require(try await site.connect())
    guard case .hostKeyUnknown("ssh-ed25519", _, "") = error.reason else { throw Trouble("\(error)") }
    #expect(error.hint.contains("`ssh-keyscan -p \(site.port) 127.0.0.1` shows its keys"))
    // The fingerprint is the one that OpenSSH shows.
    let shown = try await run(["ssh-keygen", "-l", "-f", site.keys.path(.host) + ".pub"])
    let fingerprint = try #require(shown.split(separator: " ").first { $0.hasPrefix("SHA256:") })
    #expect(error.message.contains(fingerprint))
    // Nothing was written, and nobody's key was offered.
    #expect(try await site.connect() != nil)
    let log = try site.log
    #expect(!log.contains("publickey"))
  }

  @Test("A changed key is refused, with the line that has the other one")
  func changed() async throws {
    let site = try await Site()
    try site.writeKnownHosts(["# first", try site.line(.otherHost)])
    for strictness in ["yes", "no", "accept-new"] {
      try site.configure(["StrictHostKeyChecking \(strictness)"])
      let error = try #require(try await site.connect())
      #expect(error.description.contains("CHANGED"), "\(error)")
      #expect(
        error.description.contains("another key is at \(site.folder.file("known_hosts")):2"), "\(error)")
      #expect(error.hint.contains("`ssh-keyscan -p \(site.port) 127.0.0.1` shows its keys"))
    }
  }

  @Test("Another type than the known one is unknown, and says what is known")
  func otherType() async throws {
    let site = try await Site(hostKeys: [.host])
    try site.writeKnownHosts([try site.line(.hostECDSA)])
    let error = try #require(try await site.connect())
    let known = "known is ecdsa-sha2-nistp256 at \(site.folder.file("known_hosts")):1"
    #expect(error.message.contains(known), "\(error)")
    try site.configure(["StrictHostKeyChecking no"])
    #expect(try await site.connect()?.message.contains(known) == true)
  }

  @Test("Without strict checking an unknown host is let through", arguments: ["no", "accept-new", "off"])
  func accepting(_ strictness: String) async throws {
    let site = try await Site()
    try site.writeKnownHosts([])
    try site.configure(["StrictHostKeyChecking \(strictness)"])
    #expect(try await site.connect() == nil)
    #expect(try site.folder.text("known_hosts") == "\n")
  }

  @Test("A revoked key is refused, wherever it stands and whatever else is said")
  func revoked() async throws {
    let site = try await Site()
    let key = try site.keys.publicKey(.host)
    for line in [
      "@revoked * \(key)", "@revoked [127.0.0.1]:\(site.port) \(key)", "@revoked 127.0.0.1 \(key)",
    ] {
      try site.writeKnownHosts([try site.line(.host), line])
      try site.configure(["StrictHostKeyChecking no"])
      let error = try #require(try await site.connect())
      #expect(error.description.contains("is revoked"), "\(error)")
      #expect(error.description.contains("known_hosts:2"), "\(error)")
    }
    try site.writeKnownHosts([try site.line(.host), "@revoked * \(try site.keys.publicKey(.otherHost))"])
    #expect(try await site.connect() == nil)
  }

  @Test("Lines that libssh2 can't check are named, unless another line will do")
  func unsupported() async throws {
    let site = try await Site()
    let securityKey =
      "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
      + "AAAAAAAAABHNzaDo="
    let place = "[127.0.0.1]:\(site.port)"
    let authority = "@cert-authority \(place) \(try site.keys.publicKey(.otherHost))"
    for (line, kind) in [
      (authority, "a certificate authority"),
      ("\(place) \(securityKey)", "a key of type sk-ssh-ed25519@openssh.com"),
    ] {
      try site.writeKnownHosts([line])
      let error = try #require(try await site.connect())
      #expect(error.message.contains("\(kind) (at \(site.folder.file("known_hosts")):1)"), "\(error)")
      #expect(error.hint.contains("ssh-keyscan -p \(site.port) 127.0.0.1"), "\(error)")
      try site.writeKnownHosts([line, try site.line(.host)])
      #expect(try await site.connect() == nil)
    }
  }

  @Test("A host that has an RSA key alone ends with an error of the handshake")
  func rsaAlone() async throws {
    let site = try await Site(hostKeys: [.hostRSA])
    let error = try await site.connect()
    if hasModernRSA {
      #expect(error == nil)
    } else {
      guard case .handshake = try #require(error).reason else {
        throw Trouble("\(String(describing: error))")
      }
    }
    #expect(connections(to: site.port) == 0)
  }

  @Test(
    "Patterns are matched as OpenSSH does it",
    arguments: [
      ("h1", "h1", true), ("h1", "H1", true), ("h*", "h1", true), ("h?", "h12", false), ("a,h1", "h1", true),
      ("h*,!h1", "h1", false), ("!h1,h*", "h2", true), ("!h1", "h2", false), ("*", "anything", true),
      ("[h1]:*", "[h1]:2222", true), ("a*b*c", "axxbxxc", true), ("a*b*c", "axxbxx", false),
    ])
  func patterns(_ field: String, _ name: String, _ isMeant: Bool) throws {
    let pattern = try #require(HostPattern(Substring(field)))
    #expect(pattern.matches(name.lowercased()) == isMeant)
  }

  @Test("A file that changed is read anew")
  func rereading() async throws {
    let site = try await Site()
    try site.writeKnownHosts([])
    let host = site.host
    try await site.withDoor { door in
      await #expect(throws: SSHError.self) { try await door.link(to: host).connection() }
      try site.writeKnownHosts([try site.line(.host)])
      _ = try await door.link(to: host).connection()
    }
  }
}
