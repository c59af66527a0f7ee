import Crypto
import EventLoop
import Glibc
import HostProtocol
import Ports
import RolloutModel
import SSHTransport
import Testing

@testable import AgentRPC
@testable import AgentService

@Suite("The RPC door, through a real agent", .timeLimit(.minutes(5)))
struct DoorTests {
  private static let loop = Result { try EventLoop(name: "door-test") }

  private static func settings(
    _ agent: RunningAgent, as client: String = "ops", authority: String? = nil
  ) -> RPCSettings {
    let pair = agent.authority.pair(client)
    return RPCSettings(
      port: agent.port, authority: authority ?? agent.authority.root, certificate: pair.certificate,
      key: pair.key)
  }

  /// Hands a door to `body` and closes it behind that.
  private static func with<Value: Sendable>(
    _ settings: RPCSettings, isRevoked: RevokedAgents? = nil, in scratch: Scratch,
    _ body: (RPCDoor) async throws -> Value
  ) async throws -> Value {
    let door = try RPCDoor(settings, isRevoked: isRevoked, loop: loop.get(), folder: scratch.path)
    let result: Result<Value, any Error>
    do { result = .success(try await body(door)) } catch { result = .failure(error) }
    await door.close()
    return try result.get()
  }

  private static func host(_ address: String = "127.0.0.1", port: Int? = nil) -> Host {
    Host(name: "h1", address: address, port: port)
  }

  /// What comes back for a word at a tunnel's socket.
  private static func said(at socket: String) async throws -> String {
    let client = """
      import socket, sys
      s = socket.socket(socket.AF_UNIX)
      s.settimeout(20)
      s.connect(sys.argv[1])
      try:
          s.sendall(b"hello")
          s.shutdown(1)
          sys.stdout.write(s.makefile().read())
      except (BrokenPipeError, ConnectionResetError):
          pass
      """
    return try await run(["python3", "-c", client, socket]).output
  }

  private static func greeting(_ channel: any HostChannel) async throws -> Int? {
    guard
      case .hello(let hello) = try await channel.call(
        .hello(version: hostProtocolVersion), within: .seconds(30))
    else { return nil }
    return hello.version
  }

  private static func failure(_ channel: any HostChannel) async -> DoorError? {
    do throws(DoorError) {
      _ = try await channel.call(.hello(version: hostProtocolVersion), within: .seconds(30))
      return nil
    } catch {
      return error
    }
  }

  /// Runs an agent behind which a host program answers.
  private static func agent<Value: Sendable>(
    tunnels: [Int] = [], _ body: @escaping @Sendable (RunningAgent) async throws -> Value
  ) async throws -> Value {
    let place = try Scratch()
    let socket = place.file("host.sock")
    return try await FarServer.with(.unix(socket), serve: FarServer.greeter) { _ in
      try await RunningAgent.with(configure: { configuration, _ in
        configuration.hostSocket = socket
        configuration.tunnels = tunnels
      }) { try await body($0) }
    }
  }

  @Test(
    "A call is answered by the host program behind the agent, again and again, and after a pause",
    arguments: ["127.0.0.1", "localhost"])
  func calls(address: String) async throws {
    try await Self.agent { agent in
      try await Self.with(Self.settings(agent), in: agent.scratch) { door in
        let channel = door.channel(to: Self.host(address))
        for _ in 0..<3 {
          let answered = try await Self.greeting(channel)
          #expect(answered == hostProtocolVersion)
        }
        await channel.close()
        let answered = try await Self.greeting(channel)
        #expect(answered == hostProtocolVersion)
        #expect(await channel.way()?.contains("\(agent.port)") == true)
      }
    }
  }

  @Test("An agent whose certificate was taken back is told nothing, not even what it is asked for")
  func revokedAgents() async throws {
    try await Self.agent { agent in
      try await Self.with(Self.settings(agent), isRevoked: { _ in true }, in: agent.scratch) { door in
        let failure = try #require(await Self.failure(door.channel(to: Self.host())))
        #expect(failure.kind == .refused)
        #expect(failure.message.contains("its certificate is revoked"))
      }
      #expect(!agent.log.text.contains("/v1/host"))
      try await Self.with(Self.settings(agent), isRevoked: { _ in false }, in: agent.scratch) { door in
        let answered = try await Self.greeting(door.channel(to: Self.host()))
        #expect(answered == hostProtocolVersion)
      }
    }
  }

  @Test("A playbook's stream flows both ways, and its end is the end of what is behind it")
  func playbooks() async throws {
    let place = try Scratch()
    let socket = place.file("playbook.sock")
    let ended = Counter()
    try await FarServer.with(
      .unix(socket),
      serve: { far in
        // Also where the connection is broken off.
        defer { ended.add(1) }
        try await FarServer.echo(far)
      }
    ) { _ in
      try await RunningAgent.with(configure: { configuration, _ in configuration.playbookSocket = socket }) {
        agent in
        try await Self.with(Self.settings(agent), in: agent.scratch) { door in
          let stream = try await door.open(Self.host())
          for word in ["one", "two"] {
            try await stream.write(Array(word.utf8), within: .seconds(30))
            #expect(try await stream.read(within: .seconds(30)) == Array(word.utf8))
          }
          await stream.close()
          try await eventually("the other side sees the end") { ended.value == 1 }
        }
      }
    }
  }

  @Test("Where a host runs no playbooks nothing was asked of it")
  func noPlaybooks() async throws {
    try await Self.agent { agent in
      try await Self.with(Self.settings(agent), in: agent.scratch) { door in
        let error = await #expect(throws: DoorError.self) { _ = try await door.open(Self.host()) }
        #expect(error?.kind == .unusable)
        #expect(error?.message.contains("switchyard-playbook.socket") == true)
      }
    }
  }

  @Test(
    "Who is not a controller of the authority is refused, and nothing was asked",
    arguments: ["foreign", "expired", "server", "plain"])
  func strangers(client: String) async throws {
    try await Self.agent { agent in
      try await Self.with(Self.settings(agent, as: client), in: agent.scratch) { door in
        let error = await Self.failure(door.channel(to: Self.host()))
        #expect(error?.kind == .refused, "\(String(describing: error))")
      }
    }
  }

  @Test(
    "The token of a file goes with each request, a tunnel's too; without it, or with another one, nobody is let in"
  )
  func token() async throws {
    let token = "correct-horse-battery-staple"
    let place = try Scratch()
    let socket = place.file("host.sock")
    try await FarServer.with(.unix(socket), serve: FarServer.greeter) { _ in
      try await FarServer.with(.tcp, serve: FarServer.echo) { far in
        try await RunningAgent.with(configure: { configuration, _ in
          configuration.hostSocket = socket
          configuration.tunnels = [far.port]
          configuration.tokenHash = Digest(bytes: Array(SHA256.hash(data: Array(token.utf8))))
        }) { agent in
          for (text, isGood) in [(token + "\n", true), ("another-token-of-ours", false), (nil, false)] {
            var settings = Self.settings(agent)
            settings.token = try text.map { try Self.secret($0, in: agent.scratch) }
            try await Self.with(settings, in: agent.scratch) { door in
              let error = await Self.failure(door.channel(to: Self.host()))
              #expect(
                (error == nil) == isGood && (isGood || error?.kind == .refused),
                "\(String(describing: error))")
              #expect(error.map { "\($0)".contains("horse") || "\($0)".contains("of-ours") } != true)
              guard isGood else { return }
              let route = try await door.channel(to: Self.host()).insideRoute(
                host: "127.0.0.1", port: far.port)
              guard case .tunnel(let path, _, _) = route else { throw Unexpected() }
              #expect(try await Self.said(at: path) == "hello")
            }
          }
          #expect(!agent.log.text.contains("horse"))
        }
      }
    }
  }

  private static func secret(_ text: String, in scratch: Scratch, mode: mode_t = 0o600) throws -> String {
    let path = try scratch.write(text, to: "token")
    try #require(chmod(path, mode) == 0)
    return path
  }

  @Test("A token's file that others may read, or that holds none, is refused before anything is asked")
  func tokenFiles() throws {
    let scratch = try Scratch()
    func problem(_ text: String, mode: mode_t = 0o600) throws -> String {
      let path = try Self.secret(text, in: scratch, mode: mode)
      do throws(DoorError) {
        let token = try RPCToken(file: path)
        var dumped = ""
        dump(token, to: &dumped)
        return "\(token) \(dumped)"
      } catch { return error.message }
    }
    for mode in [0o644, 0o640, 0o604, 0o620] as [mode_t] {
      #expect(try problem("correct-horse-battery-staple", mode: mode).contains("its owner's alone"))
    }
    for text in [
      "", "short", "two words in one line", String(repeating: "a", count: 600), "line\nand another one",
    ] {
      #expect(try problem(text).contains("it holds no token"))
    }
    #expect(try !problem("correct-horse-battery-staple").contains("horse"))
    #expect(throws: DoorError.self) { _ = try RPCToken(file: scratch.file("none")) }
    #expect(throws: DoorError.self) { _ = try RPCToken(file: scratch.path) }
  }

  @Test("An agent of another authority, or with another host's certificate, is not spoken to")
  func impostors() async throws {
    let authority = try await Authority.shared.value
    try await authority.issue(
      "elsewhere", "subjectAltName=DNS:elsewhere.example\nextendedKeyUsage=serverAuth")
    try await RunningAgent.with(configure: { configuration, _ in
      configuration.certificate = authority.pair("elsewhere").certificate
      configuration.key = authority.pair("elsewhere").key
    }) { agent in
      for address in ["127.0.0.1", "localhost"] {
        try await Self.with(Self.settings(agent), in: agent.scratch) { door in
          let error = await Self.failure(door.channel(to: Self.host(address)))
          #expect(error?.kind == .refused, "\(String(describing: error))")
        }
      }
    }
    try await Self.agent { agent in
      let foreign = agent.authority.scratch.file("foreign-ca.pem")
      try await Self.with(Self.settings(agent, authority: foreign), in: agent.scratch) { door in
        #expect(await Self.failure(door.channel(to: Self.host()))?.kind == .refused)
      }
    }
  }

  @Test("An agent without a host program behind it can't be used, and one that is gone can't be reached")
  func nobody() async throws {
    let settings = try await RunningAgent.with { agent in
      try await Self.with(Self.settings(agent), in: agent.scratch) { door in
        #expect(await Self.failure(door.channel(to: Self.host()))?.kind == .unusable)
      }
      return Self.settings(agent)
    }
    try await Self.with(settings, in: try Scratch()) { door in
      #expect(await Self.failure(door.channel(to: Self.host()))?.kind == .unreachable)
    }
  }

  @Test(
    "A tunnel leads to a port that the agent allows; where nobody listens the connection ends and the socket stays"
  )
  func tunnels() async throws {
    let free = try await FarServer.with(.tcp, serve: FarServer.echo) { $0.port }
    try await FarServer.with(.tcp, serve: FarServer.echo) { far in
      try await Self.agent(tunnels: [far.port, free]) { agent in
        try await Self.with(Self.settings(agent), in: agent.scratch) { door in
          let channel = door.channel(to: Self.host())
          for (port, answer) in [(far.port, "hello"), (free, "")] {
            guard
              case .tunnel(let socket, "127.0.0.1", port) = try await channel.insideRoute(
                host: "127.0.0.1", port: port)
            else {
              Issue.record("no tunnel")
              return
            }
            for _ in 0..<3 {
              let said = try await Self.said(at: socket)
              #expect(said == answer)
            }
            #expect(access(socket, F_OK) == 0)
          }
          await #expect(throws: DoorError.self) { try await channel.insideRoute(host: "127.0.0.1", port: 22) }
          await #expect(throws: DoorError.self) {
            try await channel.insideRoute(host: "127.0.0.2", port: far.port)
          }
        }
      }
    }
  }

  @Test("Auto asks the agent as long as it answers, then SSH, and says why")
  func auto() async throws {
    let scratch = try Scratch()
    var options = SSHOptions(hostProgram: "/bin/true")
    options.configurationFile = try scratch.write("", to: "ssh_config")
    options.connectWithin = .seconds(5)
    let ssh = try SSHDoor(options: options, loop: Self.loop.get())
    // Nobody listens there.
    let port = try await FarServer.with(.tcp, serve: FarServer.echo) { $0.port }
    let settings = try await Self.agent { agent in
      try await Self.with(Self.settings(agent), in: agent.scratch) { door in
        let channel = AutoDoor(rpc: door, ssh: ssh).channel(to: Self.host(port: port))
        let answered = try await Self.greeting(channel)
        #expect(answered == hostProtocolVersion)
        #expect(await channel.way()?.hasPrefix("RPC") == true)
      }
      return Self.settings(agent)
    }
    try await Self.with(settings, in: scratch) { door in
      let channel = AutoDoor(rpc: door, ssh: ssh).channel(to: Self.host(port: port))
      let error = await Self.failure(channel)
      #expect(error?.message.contains(":\(port)") == true, "SSH's error: \(String(describing: error))")
    }
    await ssh.close()
  }
}
