import Glibc
import Ports
import RolloutModel
import Synchronization
import Testing

@testable import SSHTransport

@Suite("Tunnels", .serialized, .timeLimit(.minutes(2)))
struct TunnelTests {
  private func socket(_ route: ProbeRoute) throws -> String {
    guard case .tunnel(let socket, _, _) = route else { throw Trouble("no tunnel: \(route)") }
    return socket
  }

  /// What a server has received, once it has all of it.
  private final class Arrived: Sendable {
    private let value = Mutex<[UInt8]?>(nil)
    var bytes: [UInt8]? { value.withLock { $0 } }
    func set(_ bytes: [UInt8]) { value.withLock { $0 = bytes } }
  }

  /// What comes of sending `bytes` through a tunnel and ending there.
  private func exchange(_ socket: String, _ bytes: [UInt8]) async throws -> [UInt8] {
    try await threads.run {
      let connection = try Connection.unix(socket)
      connection.send(bytes)
      connection.finish()
      return connection.receiveAll()
    }
  }

  @Test("A port of the host's loopback is reached through a socket in a folder of its own")
  func loopback() async throws {
    let site = try await Site()
    let echo = try Server.echo()
    let host = site.host
    let path = try await site.withDoor { door in
      let channel = door.channel(to: host)
      let socket = try socket(try await channel.insideRoute(host: "127.0.0.1", port: echo.port))
      #expect(try await socket == self.socket(channel.insideRoute(host: "127.0.0.1", port: echo.port)))
      #expect(try await exchange(socket, [1, 2, 3]) == [1, 2, 3])
      let folder = socket.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      #expect(try await run(["stat", "-c", "%a %u", folder.joined(separator: "/")]) == "700 \(getuid())\n")
      return socket
    }
    #expect(access(path, F_OK) != 0)
  }

  @Test("Without a jump host clients' way is straight")
  func straight() async throws {
    let site = try await Site()
    let host = site.host
    try await site.withDoor { door in
      let route = try await door.channel(to: host).outsideRoute(port: 8400)
      #expect(route == .direct(address: "127.0.0.1", port: 8400))
    }
  }

  @Test("Many connections go through one tunnel at once")
  func many() async throws {
    let site = try await Site()
    let echo = try Server.echo()
    let host = site.host
    try await site.withDoor { door in
      let socket = try socket(
        try await door.channel(to: host).insideRoute(host: "127.0.0.1", port: echo.port))
      try await withThrowingTaskGroup { group in
        for index in 0..<200 {
          let bytes = Array("\(index) is what was sent".utf8)
          group.addTask { try await (bytes, self.exchange(socket, bytes)) }
        }
        for try await (sent, received) in group { #expect(sent == received) }
      }
      #expect(echo.accepted == 200)
      let connection = try await door.link(to: host).connection()
      try await eventually("nothing is left of them") { await !connection.isUsed }
    }
  }

  @Test("A port where nobody listens closes the connection, and the socket stays")
  func refused() async throws {
    let site = try await Site()
    let port = try freePort()
    let host = site.host
    try await site.withDoor { door in
      let socket = try socket(try await door.channel(to: host).insideRoute(host: "127.0.0.1", port: port))
      for _ in 0..<5 { #expect(try await exchange(socket, [1]).isEmpty) }
      #expect(access(socket, F_OK) == 0)
    }
  }

  @Test("Without a way to the host the socket goes away, and it comes back with the host")
  func broken() async throws {
    let site = try await Site()
    let echo = try Server.echo()
    // A jump host, since it can be stopped and its port found again.
    let host = site.host
    try await site.withDoor {
      $0.idleWithin = .seconds(600)
    } _: { door in
      let channel = door.channel(to: host)
      let socket = try socket(try await channel.insideRoute(host: "127.0.0.1", port: echo.port))
      #expect(try await exchange(socket, [1]) == [1])
      let known = try site.folder.contents("known_hosts")
      try site.writeKnownHosts([])
      site.cut()
      try await eventually("the far side is gone") { site.sessions.isEmpty }
      // The socket is gone before the connection is closed.
      #expect(try await exchange(socket, [1]).isEmpty)
      #expect(access(socket, F_OK) != 0)
      await #expect(throws: DoorError.self) {
        try await channel.insideRoute(host: "127.0.0.1", port: echo.port)
      }
      try site.folder.write("known_hosts", known)
      try await eventually("the socket is back") { access(socket, F_OK) == 0 }
      #expect(try await exchange(socket, [2]) == [2])
    }
  }

  @Test("A route asked for anew brings a broken tunnel back at once")
  func reopened() async throws {
    let site = try await Site()
    let echo = try Server.echo()
    let host = site.host
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      let socket = try socket(try await channel.insideRoute(host: "127.0.0.1", port: echo.port))
      let known = try site.folder.contents("known_hosts")
      try site.writeKnownHosts([])
      site.cut()
      try await eventually("the far side is gone") { site.sessions.isEmpty }
      #expect(try await exchange(socket, [1]).isEmpty)
      try site.folder.write("known_hosts", known)
      #expect(try await self.socket(channel.insideRoute(host: "127.0.0.1", port: echo.port)) == socket)
      #expect(try await exchange(socket, [2]) == [2])
    }
  }

  @Test("Much goes both ways at once, whole, however slowly it is taken", arguments: [[], ["RekeyLimit 1M"]])
  func large(_ settings: [String]) async throws {
    let site = try await Site(settings: settings)
    let bytes = (0..<6_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 5) }
    // Takes nothing for a while, then sends back what comes.
    let server = try Server { connection in
      usleep(300_000)
      while true {
        let bytes = connection.receive()
        if bytes.isEmpty || !connection.send(bytes) { break }
      }
    }
    let host = site.host
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      let socket = try socket(try await channel.insideRoute(host: "127.0.0.1", port: server.port))
      let connection = try Connection.unix(socket)
      async let sending: Void = threads.run {
        connection.send(bytes)
        connection.finish()
      }
      // Meanwhile others are served over the same connection.
      #expect(try await channel.ask(100).count == 101)
      let received = try await threads.run {
        usleep(300_000)
        return connection.receiveAll()
      }
      try await sending
      #expect(received == bytes)
    }
  }

  @Test("What was sent arrives, also where the sender has gone at once")
  func sendAndLeave() async throws {
    let site = try await Site()
    let bytes = (0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 5) }
    let arrived = Arrived()
    let server = try Server { connection in
      usleep(300_000)
      let received = connection.receiveAll()
      arrived.set(received)
    }
    let host = site.host
    try await site.withDoor { door in
      let socket = try socket(
        try await door.channel(to: host).insideRoute(host: "127.0.0.1", port: server.port))
      try await threads.run {
        let connection = try Connection.unix(socket)
        connection.send(bytes)
      }
      try await eventually("it has arrived") { arrived.bytes != nil }
      #expect(arrived.bytes == bytes)
    }
  }

  @Test("The far side may end first, and still hears what comes after")
  func farEnd() async throws {
    let site = try await Site()
    let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 5) }
    let arrived = Arrived()
    let server = try Server { connection in
      connection.send([1, 2, 3])
      connection.finish()
      usleep(200_000)
      let received = connection.receiveAll()
      arrived.set(received)
    }
    let host = site.host
    try await site.withDoor { door in
      let socket = try socket(
        try await door.channel(to: host).insideRoute(host: "127.0.0.1", port: server.port))
      let first = try await threads.run {
        let connection = try Connection.unix(socket)
        let first = connection.receiveAll()
        connection.send(bytes)
        return first
      }
      #expect(first == [1, 2, 3])
      try await eventually("it has arrived") { arrived.bytes != nil }
      #expect(arrived.bytes == bytes)
    }
  }

  @Test("A port that doesn't answer holds up neither the other tunnels nor the host program")
  func stuckPort() async throws {
    let site = try await Site()
    let echo = try Server.echo()
    let (listener, port) = try listeningSocket(backlog: 0)
    defer { close(listener) }
    let address = try #require(try lookUp(host: "127.0.0.1", port: port, family: AF_INET).first)
    let fillers = (0..<4).map { _ in
      let filler = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
      address.bytes.withUnsafeBytes {
        _ = connect(filler, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
      }
      return filler
    }
    defer { for filler in fillers { close(filler) } }
    let host = site.host
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      let stuck = try socket(try await channel.insideRoute(host: "127.0.0.1", port: port))
      let open = try socket(try await channel.insideRoute(host: "127.0.0.1", port: echo.port))
      let waiting = try Connection.unix(stuck)
      #expect(try await exchange(open, [1]) == [1])
      #expect(try await channel.ask(1).count == 2)
      #expect(connections(to: site.port) >= 2)
      withExtendedLifetime(waiting) {}
    }
  }
}
