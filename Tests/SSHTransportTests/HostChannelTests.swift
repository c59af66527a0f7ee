import HostProtocol
import Ports
import RolloutModel
import Testing

@testable import SSHTransport

@Suite("The conversation with the host program", .serialized, .timeLimit(.minutes(2)))
struct HostChannelTests {
  @Test("The host program is brought there by the first call, and found there by the next door")
  func push() async throws {
    let site = try await Site()
    try site.writeHostProgram(padding: 1_000_000)
    let (host, home) = (site.host, site.home)
    let lines = try await site.withDoor { door in try await door.channel(to: host).ask(2) }
    #expect(lines.count == 3)
    let program = try await threads.run { [options = site.options] in
      try HostProgram(path: options.hostProgram)
    }
    #expect(try home.contents(program.remotePath) == site.folder.contents("switchyard-host"))
    #expect(try await run(["stat", "-c", "%a", home.file(HostProgram.folder)]) == "700\n")
    #expect(try await run(["ls", home.file(HostProgram.folder)]).split(separator: "\n").count == 1)
    let before = try await run(["stat", "-c", "%i %Z", home.file(program.remotePath)])
    try await site.withDoor { door in _ = try await door.channel(to: host).ask(0) }
    #expect(try await run(["stat", "-c", "%i %Z", home.file(program.remotePath)]) == before)
  }

  @Test("A program there with other bytes is replaced when it can't be started")
  func brokenProgram() async throws {
    let site = try await Site()
    let host = site.host
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      _ = try await channel.ask(0)
      await channel.close()
      let program = try await door.program()
      try site.home.write(program.remotePath, "half of it", mode: 0o600)
      #expect(try await channel.ask(1).count == 2)
    }
  }

  @Test("An interrupted push goes on where it was")
  func resumedPush() async throws {
    try await interrupted { _ in }
  }

  @Test("An interrupted push whose part was spoilt starts again")
  func restartedPush() async throws {
    try await interrupted { part in try Scratch.overwrite(part) }
  }

  private func interrupted(_ meanwhile: (String) throws -> Void) async throws {
    let site = try await Site()
    try site.writeHostProgram(padding: 1_000_000)
    try site.install("dd-interrupted", as: "dd")
    let (host, home) = (site.host, site.home)
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      async let failure = channel.failure(0)
      try await eventually("a part of it is there") { home.exists("dd.waiting") }
      site.cut()
      let error = try await failure
      #expect(error.kind == .unreachable && error.message.contains("the connection was lost"), "\(error)")
      let program = try await door.program()
      let part = home.file("\(program.remotePath).part-\(door.mark)-0")
      #expect(try LocalFile.contents(part, limit: 1 << 20).count == 50_000)
      try meanwhile(part)
      #expect(try await channel.ask(0).count == 1)
      #expect(try home.contents(program.remotePath) == site.folder.contents("switchyard-host"))
      #expect(try home.text("dd.log").contains("oflag=append"))
    }
    #expect(try await run(["ls", home.file(HostProgram.folder)]).split(separator: "\n").count == 1)
  }

  @Test("A home that can't be written to is named")
  func noCache() async throws {
    let site = try await Site()
    try site.home.write(".cache", "no folder\n")
    let host = site.host
    try await site.withDoor { door in
      let error = try await door.channel(to: host).failure(0)
      #expect(error.kind == .unusable)
      #expect(error.message.contains("the host program can't be brought there: mkdir"), "\(error)")
    }
  }

  @Test("Calls of one channel are answered in their order, over one connection")
  func order() async throws {
    let site = try await Site()
    let host = site.host
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      let answers = try await withThrowingTaskGroup { group in
        for lines in 0..<20 { group.addTask { (lines, try await channel.ask(lines)) } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(answers.count == 20)
      #expect(answers.allSatisfy { $1.count == $0 + 1 })
      #expect(Set(answers.map { $1.first }).count == 1)
      #expect(connections(to: site.port) == 1)
    }
    try await eventually("the connection is closed") { connections(to: site.port) == 0 }
  }

  @Test("Large answers come whole")
  func largeAnswers() async throws {
    let site = try await Site()
    let host = site.host
    try await site.withDoor { door in
      for _ in 0..<3 {
        let lines = try await door.channel(to: host).ask(8000)
        #expect(lines.count == 8001)
      }
    }
  }

  @Test("An idle connection is closed, and the next call opens another")
  func idle() async throws {
    let site = try await Site()
    let host = site.host
    try await site.withDoor {
      // Long enough for a call to begin on a machine that is busy with other tests.
      $0.idleWithin = .seconds(1)
    } _: { door in
      let channel = door.channel(to: host)
      let first = try await channel.ask(0)
      try await eventually("the connection is closed") { connections(to: site.port) == 0 }
      #expect(try await channel.ask(0) != first)
    }
  }

  @Test("After the end of the program the call is lost, with its words, and the next one starts it anew")
  func endingProgram() async throws {
    let site = try await Site()
    let host = site.host
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      let error = try await channel.failure(-1)
      #expect(error.kind == .lost)
      #expect(error.message.contains("the host program ended: no more to say"), "\(error)")
      #expect(try await channel.ask(0).count == 1)
      // One that ended while nobody asked is no reason to fail.
      #expect(try await channel.ask(-6) == ["last"])
      let conversation = try #require(await door.sshChannel(to: host).program.conversation)
      try await eventually("its end is heard") { await !conversation.canGoOn() }
      #expect(try await channel.ask(0).count == 1)
      #expect(connections(to: site.port) == 1)
    }
  }

  @Test("What is no answer is an error that says so", arguments: [-3, -5])
  func garbled(_ kind: Int) async throws {
    let site = try await Site()
    let host = site.host
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      let error = try await channel.failure(kind)
      #expect(error.kind == .garbled)
      #expect(error.message.contains("the host program's answer can't be read: a frame of"), "\(error)")
      #expect(try await channel.ask(0).count == 1)
    }
  }

  @Test("A login script that prints something is an error that suspects it")
  func noise() async throws {
    let site = try await Site()
    try site.home.write("noise", "\u{1b}[31mWelcome to this host\nYou have mail.\n")
    let host = site.host
    try await site.withDoor { door in
      let error = try await door.channel(to: host).failure(0)
      #expect(error.kind == .unusable)
      #expect(error.hint.contains("a login script there that prints something"), "\(error)")
      #expect(!error.description.contains("\u{1b}"))
    }
  }

  @Test("A host program that isn't on this machine is named, and found once it is there")
  func noProgram() async throws {
    let site = try await Site()
    let (host, missing) = (site.host, site.folder.file("later"))
    try await site.withDoor {
      $0.hostProgram = missing
    } _: { door in
      let channel = door.channel(to: host)
      let error = try await channel.failure(0)
      #expect(error.kind == .local && error.message.contains("later: No such file"), "\(error)")
      try site.folder.write("later", try site.folder.contents("switchyard-host"))
      #expect(try await channel.ask(0).count == 1)
    }
  }

  @Test("After its end a door refuses, instead of connecting anew")
  func closedDoor() async throws {
    let site = try await Site()
    let host = site.host
    let door = try SSHDoor(options: site.options, loop: sharedLoop)
    let channel = door.channel(to: host)
    _ = try await channel.ask(0)
    await door.close()
    let error = try await channel.failure(0)
    #expect(error.message.contains("the connection was closed"), "\(error)")
    try await eventually("no connection is left") { connections(to: site.port) == 0 }
  }

  @Test(
    "What sudo says is passed on, with what to do",
    arguments: [
      ("sudo: a password is required", "NOPASSWD in sudoers"),
      ("sudo: a terminal is required to read the password", "NOPASSWD in sudoers"),
      ("Sorry, user u is not allowed to execute '/x' as root on h.", "as root in sudoers"),
      ("u is not in the sudoers file.", "as root in sudoers"),
      ("bash: line 1: sudo: command not found", "install sudo"),
      ("/bin/sh: 1: sudo: not found", "install sudo"),
    ])
  func sudo(_ words: String, _ hint: String) async throws {
    let site = try await Site()
    let program = try await threads.run { [options = site.options] in
      try HostProgram(path: options.hostProgram)
    }
    let target = try await site.withDoor { [host = site.host] door in try await door.link(to: host).target }
    let output = RemoteOutput(exit: Channel.Exit(status: 1), output: [], errors: Array(words.utf8))
    let error = DoorError(unstarted: output, program: program, target: target)
    #expect(error.kind == .unusable)
    #expect(error.message.contains(words) && error.hint.contains(hint), "\(error)")
  }

  // MARK: Archives

  private func release(bytes: Int) throws -> IdentifiedRelease {
    let digest = try #require(Digest(String(repeating: "1", count: 64)))
    let definition = AgentDefinition(
      name: try demoAgent(), user: "root", strip: 0, exec: "bin/agent", args: [], environment: [],
      slots: SlotPorts(blue: 7001, green: 7002), publicPort: 8400, traffic: .nftables, drain: .seconds(30),
      concurrent: true, unitTemplate: nil, adopt: nil, health: [ProbeDefinition(question: .tcp)],
      dependencies: [])
    let archive = ReleaseArchive(architecture: "", path: "", digest: digest, bytes: Int64(bytes))
    let version = try #require(Version("1.0.0"))
    return IdentifiedRelease(
      manifest: ReleaseManifest(agent: definition, version: version, archive: archive), digest: digest)
  }

  private let key = LeaseKey(controller: "c", epoch: 1)

  @Test("An archive arrives whole, also where a part of it is there, and at a host that is slow to take it")
  func stage() async throws {
    let site = try await Site()
    let bytes = (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 4) }
    let path = try site.folder.write("release", bytes)
    let expected = try #require(try await run(["sha256sum", path]).split(separator: " ").first)
    try site.home.write("archive", Array(bytes.prefix(1_234_567)))
    try site.home.write("slow", "0.02")
    let (host, release) = (site.host, try release(bytes: bytes.count))
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      let reply = try await channel.stage(release, from: path, key: key, progressWithin: .seconds(60))
      #expect(reply == .log([String(expected)]))
      // Nothing is left to be sent.
      let again = try await channel.stage(release, from: path, key: key, progressWithin: .seconds(60))
      #expect(again == .log([String(expected)]))
    }
  }

  @Test("An upload that is cut off goes on after it")
  func cutStage() async throws {
    let site = try await Site()
    let bytes = (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 4) }
    let path = try site.folder.write("release", bytes)
    let expected = try #require(try await run(["sha256sum", path]).split(separator: " ").first)
    try site.home.write("slow", "0.5")
    let (host, key, release) = (site.host, key, try release(bytes: bytes.count))
    try await site.withDoor { door in
      let channel = door.channel(to: host)
      let upload = Task {
        try await channel.stage(release, from: path, key: key, progressWithin: .seconds(60))
      }
      try await eventually("a part of it is there") { site.home.exists("archive") }
      site.cut()
      let result = await upload.result
      try site.home.write("slow", "0")
      #expect(throws: DoorError.self) { try result.get() }
      let reply = try await channel.stage(release, from: path, key: key, progressWithin: .seconds(60))
      #expect(reply == .log([String(expected)]))
    }
  }

  @Test("An archive that was changed after the plan is refused before anything is sent")
  func changedArchive() async throws {
    let site = try await Site()
    let path = try site.folder.write("release", "short")
    let (host, release) = (site.host, try release(bytes: 6))
    let error = try await site.withDoor { door in
      do throws(DoorError) {
        let channel = door.channel(to: host)
        _ = try await channel.stage(release, from: path, key: key, progressWithin: .seconds(60))
        return nil as DoorError?
      } catch {
        return error
      }
    }
    #expect(error?.kind == .local && error?.hint.contains("make a new plan") == true)
    #expect(!site.home.exists("archive"))
  }
}
