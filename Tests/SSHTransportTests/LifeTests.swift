import Glibc
import Ports
import RolloutModel
import Testing

@testable import SSHTransport

@Suite("Deadlines and the ends of connections", .serialized, .timeLimit(.minutes(2)))
struct LifeTests {
  /// A host at a port where the test itself listens.
  private func host(_ port: Int) -> Host { Host(name: "h1", address: "127.0.0.1", port: port) }

  private func failure(
    of host: Host, _ site: Site, _ change: (inout SSHOptions) -> Void = { _ in }
  ) async throws -> DoorError {
    try await site.withDoor(change) { door in try await door.channel(to: host).failure(0) }
  }

  @Test("A host that doesn't answer the connection is unreachable at the deadline")
  func silentPort() async throws {
    let site = try await Site()
    // A full queue of connections makes the kernel drop further ones.
    let (listener, port) = try listeningSocket(backlog: 0)
    defer { close(listener) }
    let address = try #require(try lookUp(host: "127.0.0.1", port: port, family: AF_INET).first)
    let fillers = (0..<4).map { _ in
      let filler = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
      address.bytes.withUnsafeBytes {
        _ = connect(filler, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
      }
      return filler
    }
    defer { for filler in fillers { close(filler) } }
    let error = try await failure(of: host(port), site) { $0.connectWithin = .milliseconds(300) }
    #expect(error.kind == .unreachable)
    #expect(error.message.contains("no answer in time while connecting"), "\(error)")
    #expect(error.hint.contains("sshd listens on port \(port)"))
    // The configuration's own limit goes before.
    try site.configure(["ConnectTimeout 1"])
    #expect(try await failure(of: host(port), site).message.contains("while connecting"))
  }

  @Test("A port where nobody listens, and a name without address, are said at once")
  func nobody() async throws {
    let site = try await Site()
    let port = try freePort()
    let error = try await failure(of: host(port), site)
    #expect(error.kind == .unreachable && error.message.contains("Connection refused"), "\(error)")
    let nameless = try await failure(of: Host(name: "h1", address: "no-such-host.invalid"), site)
    #expect(
      nameless.kind == .unreachable && nameless.message.contains("its name has no address"), "\(nameless)")
  }

  @Test("One who accepts and says nothing ends the handshake at its deadline")
  func silentHandshake() async throws {
    let site = try await Site()
    for greeting in ["", "SSH-2.0-Silent\r\n", "SSH-2.0-Sil"] {
      let server = try Server { connection in
        connection.send(Array(greeting.utf8))
        _ = connection.receiveAll()
      }
      let error = try await failure(of: host(server.port), site) { $0.stepWithin = .milliseconds(500) }
      #expect(error.kind == .unreachable)
      #expect(error.message.contains("no answer in time while shaking hands"), "\(error)")
      try await eventually("no descriptor is left") { connections(to: server.port) == 0 }
    }
  }

  @Test("One who hangs up, or speaks something else, fails the handshake")
  func noSSH() async throws {
    let site = try await Site()
    let garbage = (0..<2000).map { UInt8(truncatingIfNeeded: $0 &* 7919 >> 3) }
    let greetings: [[UInt8]] = [
      [], Array("SSH-2.0-x\r\n".utf8), Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), garbage,
      Array("SSH-2.0-x\r\n".utf8) + garbage, Array("SSH-2.0-x\r\n".utf8) + [255, 255, 255, 255, 1, 20],
    ]
    for greeting in greetings {
      let server = try Server { connection in
        connection.send(greeting)
        connection.finish()
        _ = connection.receiveAll()
      }
      let error = try await failure(of: host(server.port), site)
      #expect(error.kind == .unreachable)
      #expect(error.message.contains("handshake failed") || error.message.contains("lost"), "\(error)")
      try await eventually("no descriptor is left") { connections(to: server.port) == 0 }
    }
  }

  @Test("A host that doesn't decide about a key ends the authentication at its deadline")
  func silentAuthentication() async throws {
    let user = LocalUser.current().name
    let site = try await Site(
      authorized: [], settings: ["AuthorizedKeysCommand /bin/sleep 600", "AuthorizedKeysCommandUser \(user)"])
    let error = try #require(try await site.connect { $0.stepWithin = .seconds(3) })
    #expect(error.reason == .deadline(.authenticating))
  }

  @Test("A call that is not answered in its time is lost, and the next one has a program of its own")
  func callDeadline() async throws {
    let site = try await Site()
    let host = site.host
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      let first = try await channel.ask(0)
      let error = try await channel.failure(-2, within: .milliseconds(200))
      #expect(error.kind == .lost)
      #expect(error.message.contains("no answer in time while waiting for the host program"), "\(error)")
      #expect(try await channel.ask(0) != first)
    }
  }

  @Test("A program that doesn't come up ends at the deadline")
  func silentStart() async throws {
    let site = try await Site()
    let host = site.host
    try await site.withDoor {
      $0.stepWithin = .seconds(4)
    } _: { door in
      _ = try await door.link(to: host).connection()
      site.signal(SIGSTOP)
      let error = try await door.channel(to: host).failure(0)
      #expect(error.kind == .unreachable)
      #expect(error.message.contains("no answer in time while starting a program"), "\(error)")
      // The one that comes up too late is closed, and not kept.
      site.signal(SIGCONT)
      let connection = try await door.link(to: host).connection()
      try await eventually("nothing is left of it") { await !connection.isUsed }
      #expect(try await door.channel(to: host).ask(0).count == 1)
    }
  }

  @Test("A connection that is cut off during a call is an error at once, and leaves nothing open")
  func cutDuringCall() async throws {
    let site = try await Site()
    let host = site.host
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      for round in 1...5 {
        async let failure = channel.failure(-2)
        try await eventually("it was asked") {
          site.home.exists("asked") ? try site.home.contents("asked").count == round : false
        }
        site.cut()
        let error = try await failure
        #expect(error.kind == .lost, "\(error)")
        #expect(connections(to: site.port) <= 1)
      }
      #expect(try await channel.ask(0).count == 1)
    }
    try await eventually("no descriptor is left") { connections(to: site.port) == 0 }
  }

  @Test("A connection that was cut off while nobody used it is opened anew, without an error")
  func cutBetweenCalls() async throws {
    let site = try await Site()
    let host = site.host
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      for _ in 0..<3 {
        #expect(try await channel.ask(0).count == 1)
        site.cut()
        try await eventually("the far side is gone") { site.sessions.isEmpty }
      }
      #expect(try await channel.ask(0).count == 1)
      #expect(connections(to: site.port) == 1)
    }
  }

  @Test("Signs of life keep a connection that is silent for long, and end one whose host is gone")
  func keepalive() async throws {
    let site = try await Site(settings: ["LogLevel DEBUG1"])
    let host = site.host
    try await site.withDoor {
      $0.keepalive = .seconds(1)
    } _: { door in
      let channel = door.channel(to: host)
      _ = try await channel.ask(0)
      #expect(try await channel.ask(-4) == ["late"])
      let log = try site.log
      #expect(log.contains("keepalive@libssh2.org"))
      async let failure = channel.failure(-2)
      try await eventually("it was asked") { site.home.exists("asked") }
      site.signal(SIGSTOP)
      let error = try await failure
      #expect(error.kind == .lost && error.message.contains("nothing was heard of the host"), "\(error)")
      site.signal(SIGCONT)
      #expect(try await channel.ask(0).count == 1)
    }
  }

  @Test("Sixty hosts at once on one loop, each with its own connection")
  func many() async throws {
    let site = try await Site()
    let base = site.host
    try await site.withDoor { door in
      let hosts = (0..<60).map { index in
        var host = base
        host.name = "h\(index)"
        // An address each: else they would share one connection.
        host.address = "127.0.0.1"
        host.identityFile = site.folder.file("none-\(index)")
        return host
      }
      try await withThrowingTaskGroup { group in
        for host in hosts { group.addTask { try await door.link(to: host).connection() } }
        var lanes: [ObjectIdentifier: SSHConnection] = [:]
        for try await lane in group { lanes[ObjectIdentifier(lane)] = lane }
        #expect(lanes.count == 60)
      }
      #expect(connections(to: site.port) == 60)
      let processes = try await withThrowingTaskGroup { group in
        for host in hosts.prefix(8) { group.addTask { try await door.channel(to: host).ask(1) } }
        return try await group.reduce(into: Set<String>()) { $0.insert($1.first ?? "") }
      }
      #expect(processes.count == 8)
    }
    try await eventually("no descriptor is left") { connections(to: site.port) == 0 }
  }
}
