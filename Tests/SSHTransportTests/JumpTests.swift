import Glibc
import Ports
import RolloutModel
import Testing

@testable import SSHTransport

@Suite("Jump hosts", .serialized, .timeLimit(.minutes(2)))
struct JumpTests {
  /// The host of `site`, through others, all known in one file.
  private func host(_ site: Site, through jumps: [Site]) throws -> Host {
    try site.writeKnownHosts([try site.line(.host)] + jumps.map { try $0.line(.host) })
    var host = site.host
    host.knownHostsFiles = [site.folder.file("known_hosts")]
    host.identityFile = site.keys.path(.user)
    host.proxyJump = jumps.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
    return host
  }

  @Test("A host is reached through one jump host, and through two")
  func through() async throws {
    let (site, first, second) = (try await Site(), try await Site(), try await Site())
    for jumps in [[first], [first, second]] {
      let host = try host(site, through: jumps)
      try await site.withDoor { door in
        let channel = door.channel(to: host)
        #expect(try await channel.ask(2000).count == 2001)
        #expect(connections(to: first.port) == 1)
        #expect(connections(to: site.port) == 0)
        // What clients see is seen from the last jump host.
        let echo = try Server.echo()
        guard
          case .tunnel(let socket, "127.0.0.1", echo.port) = try await channel.outsideRoute(port: echo.port)
        else { throw Trouble("no tunnel") }
        let reply = try await threads.run {
          let connection = try Connection.unix(socket)
          connection.send([1, 2, 3])
          return connection.receive(atLeast: 3)
        }
        #expect(reply == [1, 2, 3])
      }
      try await eventually("no connection is left") { connections(to: first.port) == 0 }
    }
    #expect(try second.log.contains("Accepted publickey"))
  }

  @Test("Hosts behind one jump host share the connection to it")
  func shared() async throws {
    let (site, jump) = (try await Site(), try await Site())
    let base = try host(site, through: [jump])
    try await site.withDoor {
      // Fewer than there are hosts: the others wait.
      $0.handshakesThroughJump = 3
    } _: { door in
      try await withThrowingTaskGroup { group in
        for index in 0..<12 {
          var host = base
          host.name = "h\(index)"
          host.user = LocalUser.current().name
          host.identityFile = site.keys.path(.user)
          host.knownHostsFiles.append(site.folder.file("none-\(index)"))
          group.addTask { [host] in try await door.link(to: host).connection() }
        }
        // Each is kept: so the jump host's connection is used.
        var lanes: [SSHConnection] = []
        for try await lane in group { lanes.append(lane) }
        #expect(lanes.count == 12)
      }
    }
    try await eventually("no connection is left") { connections(to: jump.port) == 0 }
  }

  @Test("No more handshakes than allowed go through a jump host at once")
  func cap() async throws {
    let (site, jump) = (try await Site(), try await Site())
    // The first one holds the only place until its deadline.
    let begun = Flag()
    let silent = try Server { connection in
      if !connection.receive().isEmpty { begun.set() }
      _ = connection.receiveAll()
    }
    let good = try host(site, through: [jump])
    var bad = good
    bad.port = silent.port
    bad.name = "silent"
    try await site.withDoor {
      $0.handshakesThroughJump = 1
      $0.stepWithin = .seconds(5)
    } _: { [bad] door in
      let badEnded = Flag()
      try await withThrowingTaskGroup { group in
        group.addTask {
          let error = try await door.channel(to: bad).failure(0)
          badEnded.set()
          #expect(error.message.contains("while shaking hands"), "\(error)")
        }
        try await eventually("the silent one is at it") { begun.isSet }
        group.addTask {
          _ = try await door.link(to: good).connection()
          #expect(badEnded.isSet)
        }
        try await group.waitForAll()
      }
    }
  }

  @Test("A jump host that is down is named, and so is one that knows no way to the host")
  func down() async throws {
    let (site, jump) = (try await Site(), try await Site())
    var host = try host(site, through: [jump])
    host.port = try freePort()
    try await site.withDoor { [host] door in
      let error = try await door.channel(to: host).failure(0)
      #expect(error.kind == .unreachable)
      #expect(error.message.contains("(through 127.0.0.1): no connection: 127.0.0.1 says: "), "\(error)")
    }
    jump.stop()
    host.port = site.port
    try await site.withDoor { [host] door in
      let error = try await door.channel(to: host).failure(0)
      #expect(error.kind == .unreachable)
      #expect(
        error.message.contains("@127.0.0.1:\(jump.port): no connection: Connection refused"), "\(error)")
    }
  }

  @Test("A jump host whose key is not known is refused under its own name")
  func unknownJump() async throws {
    let (site, jump) = (try await Site(), try await Site(hostKeys: [.otherHost]))
    let host = try host(site, through: [jump])
    try await site.withDoor { door in
      let error = try await door.channel(to: host).failure(0)
      #expect(error.kind == .refused)
      #expect(error.hint.contains("ssh-keyscan -p \(jump.port) 127.0.0.1"), "\(error)")
    }
  }

  @Test("After the jump host was lost, host and jump host are connected anew")
  func cutJump() async throws {
    let (site, jump) = (try await Site(), try await Site())
    let host = try host(site, through: [jump])
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      for round in 1...3 {
        async let failure = channel.failure(-2)
        try await eventually("it was asked") {
          site.home.exists("asked") ? try site.home.contents("asked").count == round : false
        }
        jump.cut()
        let error = try await failure
        #expect(error.kind == .lost, "\(error)")
        #expect(try await channel.ask(0).count == 1)
        #expect(connections(to: jump.port) == 1)
      }
    }
    try await eventually("no connection is left") { connections(to: jump.port) == 0 }
  }
}
