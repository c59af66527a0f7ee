import Glibc
import RolloutModel
import Testing

@testable import SSHTransport

@Suite("The ssh configuration", .serialized, .timeLimit(.minutes(2)))
struct ConfigurationTests {
  private let folder: Scratch
  private let user: LocalUser
  /// ssh fills in the home by itself, so it is the true one.
  private var home: String { user.home }

  init() throws {
    folder = try Scratch()
    user = LocalUser(name: "somebody", home: LocalUser.current().home, agentSocket: "/run/agent")
  }

  private func source(_ lines: String..., program: String = "ssh") throws -> ConfigurationSource {
    let file = try folder.write("config", lines.joined(separator: "\n") + "\n")
    return ConfigurationSource(pool: threads, user: user, program: program, file: file)
  }

  private func problem(_ host: Host, _ source: ConfigurationSource) async throws -> SSHError {
    let target: SSHTarget
    do throws(SSHError) { target = try await source.target(for: host) } catch { return error }
    throw Trouble("no error but \(target)")
  }

  @Test("What the file says of a host holds, what the inventory says goes before")
  func merging() async throws {
    let source = try source(
      "Host web*", "  HostName 192.0.2.7", "  Port 2222", "  User deploy", "  IdentityFile ~/.ssh/web",
      "  UserKnownHostsFile ~/known /etc/known", "  HostKeyAlias web", "  ConnectTimeout 7",
      "  AddressFamily inet",
      "Host *", "  IdentitiesOnly yes")
    var target = try await source.target(for: Host(name: "a", address: "web1"))
    #expect((target.address, target.port, target.user) == ("192.0.2.7", 2222, "deploy"))
    #expect(target.identityFiles == ["\(home)/.ssh/web"])
    #expect(target.knownHostsFiles.prefix(2) == ["\(home)/known", "/etc/known"])
    #expect(target.hostKeyAlias == "web")
    #expect(target.connectTimeout == .seconds(7))
    #expect(target.family == AF_INET)
    #expect(target.identitiesOnly)
    #expect(target.agentSocket == "/run/agent")
    #expect(target.unknownKeys == .refuse)

    target = try await source.target(
      for: Host(
        name: "a", address: "web1", port: 23, user: "me", identityFile: "/a key",
        knownHostsFiles: ["/a b", "/c"]))
    #expect((target.address, target.port, target.user) == ("192.0.2.7", 23, "me"))
    #expect(target.identityFiles.first == "/a key")
    #expect(target.knownHostsFiles.prefix(2) == ["/a b", "/c"])

    target = try await source.target(for: Host(name: "a", address: "db1"))
    #expect((target.address, target.port) == ("db1", 22))
  }

  @Test("A file that says the same of all hosts is asked about once, and still fills in each host's name")
  func uniform() async throws {
    let source = try source(
      "UserKnownHostsFile ~/known", "IdentityFile ~/key-%n-%h-%p-%r-%%", "User u",
      program: Site.program("ssh-counted"))
    for name in ["h1", "h2", "h3"] {
      let target = try await source.target(for: Host(name: name, address: name))
      #expect(target.address == name)
      #expect(target.knownHostsFiles.first == "\(home)/known")
      #expect(target.identityFiles == ["\(home)/key-\(name)-\(name)-22-u-%"])
    }
    #expect(try folder.text("config.asked") == "x\n")
  }

  @Test("Where ssh itself fills in the name it is asked about each host")
  func filledIn() async throws {
    let source = try source("UserKnownHostsFile ~/known-%h")
    for name in ["h1", "h2"] {
      let target = try await source.target(for: Host(name: name, address: name))
      #expect(target.knownHostsFiles.first == "\(home)/known-\(name)")
    }
  }

  @Test(
    "A file that might tell hosts apart is asked about each",
    arguments: ["Match host h1\n Port 23", "Host h1\n Port 23", "Host=h1\n Port 23", "Include other"])
  func telling(_ text: String) async throws {
    try folder.write("other", "Host h1\n Port 23\n")
    // A name without a folder is searched beside the user's own file: give the folder.
    let source = try source(text.replacing("Include other", with: "Include \(folder.file("oth*"))"))
    #expect(try await source.target(for: Host(name: "h2", address: "h2")).port == 22)
    #expect(try await source.target(for: Host(name: "h1", address: "h1")).port == 23)
  }

  @Test("Jump hosts are resolved like hosts, the first one with its own jump hosts")
  func jumps() async throws {
    let source = try source(
      "Host inner", "  HostName 192.0.2.9", "  ProxyJump me@outer:2200", "Host outer", "  HostName 192.0.2.8",
      "  User nobody", "Host second", "  ProxyJump never")
    let target = try await source.target(
      for: Host(name: "h", address: "h", knownHostsFiles: ["/k"], proxyJump: "inner,x@[::1]:7,second"))
    #expect(target.jumps.map(\.address) == ["192.0.2.8", "192.0.2.9", "::1", "second"])
    #expect(target.jumps.map(\.port) == [2200, 22, 7, 22])
    #expect(target.jumps.map(\.user).prefix(1) == ["me"])
    #expect(target.jumps.allSatisfy { $0.knownHostsFiles.last == "/k" })
    #expect(target.place.hasSuffix("(through 192.0.2.8, 192.0.2.9, ::1, second)"))
  }

  @Test("What this door can't do is an error that says so")
  func cannot() async throws {
    let host = Host(name: "h", address: "h.example", port: 2222)
    for (line, words) in [
      ("ProxyCommand nc %h %p", "ProxyCommand (nc %h %p) can't be used; ProxyJump can"),
      ("Host h.example\n ProxyJump a\nHost a\n ProxyJump b\nHost b\n ProxyJump a", "leads in a circle"),
      ("ProxyJump a,,b", "ssh -G says"), ("Port many", "ssh -G says"), ("NoSuchKeyword yes", "nosuchkeyword"),
    ] {
      let error = try await problem(host, source(line))
      #expect(error.message.contains(words), "\(error)")
      #expect(error.message.hasPrefix("h (h.example): "), "\(error)")
      #expect(error.hint.contains("ssh -G h.example"))
    }
  }

  @Test("Names and values that would be options or more than one are refused")
  func injection() async throws {
    let source = try source("")
    for host in [
      Host(name: "h", address: "-oProxyCommand=false"), Host(name: "h", address: ""),
      Host(name: "h", address: "h", user: "a\"b"), Host(name: "h", address: "h", identityFile: "a\nb"),
      Host(name: "h", address: "h", proxyJump: "-oProxyCommand=false"),
      Host(name: "h", address: "h", proxyJump: "a\" -o \"b"), Host(name: "h", address: "h", proxyJump: "a:0"),
    ] {
      guard case .configuration = try await problem(host, source).reason else { throw Trouble("\(host)") }
    }
  }

  @Test("An answer is kept, a failure is not")
  func mending() async throws {
    let source = try source("Port many")
    let host = Host(name: "h", address: "h")
    _ = try await problem(host, source)
    try folder.write("config", "Port 23\n")
    #expect(try await source.target(for: host).port == 23)
    try folder.write("config", "Port 24\n")
    #expect(try await source.target(for: host).port == 23)
  }

  @Test("An ssh that isn't there is named")
  func noProgram() async throws {
    let source = try source("", program: "/nowhere/ssh")
    let error = try await problem(Host(name: "h", address: "h"), source)
    #expect(error.message.contains("/nowhere/ssh: No such file or directory"), "\(error)")
  }

  @Test("A program that doesn't end is ended at its deadline, and all of what one prints is taken")
  func localPrograms() async throws {
    await #expect(throws: LocalFileError.self) {
      try await threads.run { try runLocalProgram(["sleep", "600"], within: .milliseconds(100)) }
    }
    let output = try await threads.run {
      try runLocalProgram(["head", "-c", "3000000", "/dev/zero"], within: .seconds(60))
    }
    #expect(output.status == 0)
    #expect(output.output.count == 1 << 20)
  }

  @Test(
    "Arguments reach a program as they are, through any shell",
    arguments: [
      "", "plain", "a b", "it's", "$HOME `x` $(x)", "a\\b", "'", "\\'", "line\nbreak", "ünï", "*", "~",
    ])
  func quoting(_ argument: String) async throws {
    for shell in ["sh", "bash"] {
      let output = try await run([shell, "-c", shellQuoted(["printf", "%s", argument])])
      #expect(output == argument)
    }
  }
}
