import FoundationEssentials
import Glibc
import HostProtocol
import Ports
import RolloutModel
import Testing

@testable import SSHTransport

/// An sshd on loopback with a home folder for what runs there, and what a controller needs to reach it.
final class Site: Sendable {
  let folder: Scratch
  let home: Scratch
  let keys: Keys
  let port: Int
  private let sshd: Child

  /// Starts an sshd with these host keys that lets these keys in; `settings` go before its own.
  init(
    hostKeys: [Keys.Name] = [.host], authorized: [Keys.Name] = [.user], settings: [String] = []
  ) async throws {
    let keys = try await Keys.all
    let (folder, home) = (try Scratch(), try Scratch())
    try home.makeFolder("bin")
    if getuid() == 0 {
      // Where sshd locks up its unprivileged part; made by the system's own service, which need not run.
      mkdir("/run/sshd", 0o755)
    } else {
      try Site.copy("sudo-allowing", to: home.file("bin/sudo"))
    }
    let authorizedKeys = try folder.write(
      "authorized_keys", authorized.map { try keys.publicKey($0) + "\n" }.joined())
    let lines =
      settings + hostKeys.map { "HostKey \(keys.path($0))" } + [
        "ListenAddress 127.0.0.1", "AuthorizedKeysFile \(authorizedKeys)", "PidFile none", "UsePAM no",
        "StrictModes no", "UseDNS no", "PermitRootLogin yes", "MaxStartups 500:30:600", "MaxSessions 500",
        "LogLevel VERBOSE", "SetEnv SWITCHYARD_TEST_HOME=\(home.path)",
        "ForceCommand /bin/sh \(Site.program("login"))",
      ]
    let configuration = try folder.write("sshd_config", lines.joined(separator: "\n") + "\n")
    (self.folder, self.home, self.keys) = (folder, home, keys)
    (sshd, port) = try await Site.start(configuration, log: folder.file("sshd.log"))
    try folder.write("known_hosts", "[127.0.0.1]:\(port) \(try keys.publicKey(hostKeys.first ?? .host))\n")
    try configure()
    try writeHostProgram()
  }

  deinit { sshd.stop() }

  private static let sshdProgram = "/usr/sbin/sshd"

  private static func start(_ configuration: String, log: String) async throws -> (Child, Int) {
    guard access(sshdProgram, X_OK) == 0 else {
      throw Trouble("\(sshdProgram) is needed: `make setup` installs openssh-server")
    }
    // A free port may be taken by somebody else before sshd has it.
    for _ in 0..<10 {
      let port = try freePort()
      let sshd = try Child([sshdProgram, "-D", "-e", "-f", configuration, "-p", "\(port)"], output: log)
      try await eventually("sshd listens") {
        try Site.read(log).contains("Server listening on 127.0.0.1 port \(port)") || sshd.hasEnded
      }
      if !sshd.hasEnded { return (sshd, port) }
    }
    throw Trouble("sshd does not start: \(try read(log).suffix(1000))")
  }

  private static func read(_ path: String) throws -> String {
    String(decoding: try LocalFile.contents(path, limit: 1 << 26), as: UTF8.self)
  }

  // MARK: The far side

  /// What sshd has said.
  var log: String { get throws { try folder.text("sshd.log") } }

  /// Ends the processes of all connections at once; the listener stays.
  func cut() { for process in sessions { kill(process, SIGKILL) } }

  /// Stops or continues the processes of all connections.
  func signal(_ signal: Int32) { for process in sessions { kill(process, signal) } }

  var sessions: [pid_t] { descendants(of: sshd.process) }

  func stop() { sshd.stop() }

  /// A file of `Programs`.
  static func program(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Programs/\(name)").path(
      percentEncoded: false)
  }

  private static func copy(_ name: String, to path: String) throws {
    try Data(contentsOf: URL(filePath: program(name))).write(to: URL(filePath: path))
    guard chmod(path, 0o755) == 0 else { throw Trouble.call("chmod") }
  }

  /// Puts a program before the system's own.
  func install(_ name: String, as command: String) throws {
    try Self.copy(name, to: home.file("bin/\(command)"))
  }

  /// Writes the host program that is to be pushed, made longer with bytes that do nothing.
  func writeHostProgram(padding: Int = 0) throws {
    var bytes = try LocalFile.contents(Self.program("host-program"), limit: 1 << 20)
    if padding > 0 { bytes += Array("#".utf8) + (0..<padding).map { UInt8(97 + $0 % 23) } + [10] }
    try folder.write("switchyard-host", bytes)
  }

  // MARK: The controller's side

  /// The lines of an ssh configuration for this site.
  func settings(identity: Keys.Name, _ more: [String] = []) throws -> String {
    (more + [
      "IdentityFile \(keys.path(identity))", "IdentitiesOnly yes", "IdentityAgent none",
      "UserKnownHostsFile \(folder.file("known_hosts"))", "GlobalKnownHostsFile none",
    ]).joined(separator: "\n") + "\n"
  }

  func configure(identity: Keys.Name = .user, _ more: [String] = []) throws {
    try folder.write("ssh_config", try settings(identity: identity, more))
  }

  func writeKnownHosts(_ lines: [String]) throws {
    try folder.write("known_hosts", lines.joined(separator: "\n") + "\n")
  }

  /// A line of known hosts for this site.
  func line(_ key: Keys.Name) throws -> String { "[127.0.0.1]:\(port) \(try keys.publicKey(key))" }

  var host: Host { Host(name: "h1", address: "127.0.0.1", port: port) }

  var options: SSHOptions {
    var options = SSHOptions(hostProgram: folder.file("switchyard-host"))
    options.configurationFile = folder.file("ssh_config")
    options.connectWithin = .seconds(60)
    options.stepWithin = .seconds(60)
    options.keepalive = .seconds(30)
    return options
  }

  /// Runs `body` with a door, which is closed after it.
  func withDoor<Value>(
    _ change: (inout SSHOptions) -> Void = { _ in }, _ body: (SSHDoor) async throws -> Value
  ) async throws -> Value {
    var options = options
    change(&options)
    let door = try SSHDoor(options: options, loop: sharedLoop)
    do {
      let value = try await body(door)
      await door.close()
      return value
    } catch {
      await door.close()
      throw error
    }
  }

  /// What comes of one try to connect.
  func connect(_ change: (inout SSHOptions) -> Void = { _ in }) async throws -> SSHError? {
    let host = host
    return try await withDoor(change) { door in
      do {
        _ = try await door.link(to: host).connection()
        return nil
      } catch let error as SSHError {
        return error
      }
    }
  }
}

/// A TCP port of loopback that is free just now.
func freePort() throws -> Int {
  let (descriptor, port) = try listeningSocket(backlog: 1)
  close(descriptor)
  return port
}

/// A listening TCP socket on loopback, blocking.
func listeningSocket(backlog: Int32) throws -> (descriptor: Int32, port: Int) {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
  guard descriptor >= 0 else { throw Trouble.call("socket") }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  var size = socklen_t(MemoryLayout<sockaddr_in>.size)
  let isBound = withUnsafeMutablePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
      bind(descriptor, generic, size) == 0 && listen(descriptor, backlog) == 0
        && getsockname(descriptor, generic, &size) == 0
    }
  }
  guard isBound else {
    defer { close(descriptor) }
    throw Trouble.call("bind")
  }
  return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
}

/// How many descriptors of this process are connected to a TCP port: those of one test, whatever others do beside it.
func connections(to port: Int) -> Int {
  (0..<Int32(4096)).count { descriptor in
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isConnected = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &size) == 0 }
    }
    return isConnected && address.sin_family == sa_family_t(AF_INET)
      && Int(UInt16(bigEndian: address.sin_port)) == port
  }
}

// MARK: Calls of the pretend host program

/// The demo agent of all tests.
func demoAgent() throws -> AgentName { try #require(AgentName("demo")) }

extension HostChannel {
  /// Asks the pretend host program; see its own text for what the numbers mean.
  func ask(_ lines: Int, within limit: Duration = .seconds(60)) async throws -> [String] {
    let reply = try await call(.log(demoAgent(), .blue, lines: lines), within: limit)
    guard case .log(let lines) = reply else { throw Trouble("another reply: \(reply)") }
    return lines
  }

  /// The error of such a call.
  func failure(_ lines: Int, within limit: Duration = .seconds(60)) async throws -> DoorError {
    do {
      let lines = try await ask(lines, within: limit)
      throw Trouble("an answer of \(lines.count) lines instead of an error")
    } catch let error as DoorError {
      return error
    }
  }
}
