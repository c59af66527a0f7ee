import EventLoop
import HostProtocol
import Ports
import RolloutModel

/// The SSH door to one host.
public actor SSHHostChannel: HostChannel {
  nonisolated let host: Host
  private nonisolated let loop: EventLoop
  /// The host program's calls run on the door's loop.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
  private unowned let door: SSHDoor
  private(set) var conversation: Conversation?
  /// Sets this channel's partial files on hosts apart from those of others, of this door and elsewhere.
  private nonisolated let mark: String
  private var isBusy = false
  private var turns: [CheckedContinuation<Void, Never>] = []
  private var idleTimer: LoopTimer?
  private var hasBegunPush = false

  private static let piece = Frame.dataLimit

  init(host: Host, mark: String, door: SSHDoor) {
    self.host = host
    self.mark = mark
    self.door = door
    loop = door.loop
  }

  // MARK: HostChannel

  /// Sends a request and awaits its reply; the time counts from the moment when the conversation is open.
  public func call(_ request: HostRequest, within limit: Duration) async throws(DoorError) -> HostReply {
    await takeTurn()
    defer { giveTurn() }
    return try await exchange(request, within: limit)
  }

  /// Announces the archive, sends what the host lacks of it, and returns the reply to its end.
  public func stage(
    _ release: IdentifiedRelease, from path: String, key: LeaseKey, progressWithin limit: Duration
  ) async throws(DoorError) -> HostReply {
    await takeTurn()
    defer { giveTurn() }
    let file = try await opened(path)
    defer { file.close() }
    guard Int64(file.size) == release.manifest.archiveBytes else {
      throw DoorError(
        .local, "\(path): it has \(file.size) bytes, the release's archive \(release.manifest.archiveBytes)",
        hint: "the archive was changed after the plan: make a new plan")
    }
    let reply = try await exchange(.stage(key, release), within: limit)
    guard case .staged(let have) = reply else { return reply }
    var offset = Int(clamping: have)
    guard (0...file.size).contains(offset) else {
      await drop()
      throw DoorError(.garbled, "\(host.name): the host has \(have) bytes of an archive of \(file.size)")
    }
    while offset < file.size {
      let bytes = try await piece(of: file, at: offset)
      try await send(.data(bytes), within: limit)
      offset += bytes.count
    }
    return try await exchange(.stageEnd(key, release), within: limit)
  }

  /// A tunnel through the host itself.
  public func insideRoute(host address: String, port: Int) async throws(DoorError) -> ProbeRoute {
    let link = try await link()
    return try await tunnel(through: link, to: address, port: port)
  }

  /// Straight to the host's address, or a tunnel through the last jump host.
  public func outsideRoute(port: Int) async throws(DoorError) -> ProbeRoute {
    let link = try await link()
    let address = link.target.address
    guard let jump = link.jump else { return .direct(address: address, port: port) }
    return try await tunnel(through: jump, to: address, port: port)
  }

  /// Through a connection that is seen to live: so what a probe finds at the tunnel's socket is the far side's doing.
  private func tunnel(
    through link: HostLink, to address: String, port: Int
  ) async throws(DoorError) -> ProbeRoute {
    do throws(SSHError) { _ = try await link.connection() } catch { throw DoorError(error, isAsked: false) }
    let socket = try await door.tunnel(through: link, to: address, port: port)
    return .tunnel(socket: socket, address: address, port: port)
  }

  /// Ends the conversation, and the connection where nothing else goes over it.
  public func close() async {
    await takeTurn()
    defer { giveTurn() }
    await drop()
    // Without a configuration there was never a connection.
    if let link = try? await link() { await link.closeUnused() }
  }

  // MARK: The conversation

  private func exchange(_ request: HostRequest, within limit: Duration) async throws(DoorError) -> HostReply {
    let conversation = try await opened()
    do throws(Conversation.Failure) {
      return try await conversation.exchange(request, within: limit)
    } catch {
      await drop()
      throw DoorError(error, target: conversation.connection.target)
    }
  }

  private func send(_ frame: Frame, within limit: Duration) async throws(DoorError) {
    guard let conversation else { throw DoorError(.lost, "\(host.name): the conversation was closed") }
    do throws(Conversation.Failure) {
      try await conversation.send(frame, within: limit)
    } catch {
      await drop()
      throw DoorError(error, target: conversation.connection.target)
    }
  }

  private func drop() async {
    let ending = conversation
    conversation = nil
    await ending?.end()
  }

  private func link() async throws(DoorError) -> HostLink {
    do throws(SSHError) { return try await door.link(to: host) } catch {
      throw DoorError(error, isAsked: false)
    }
  }

  /// The conversation, begun with a greeting; the program is brought there when it can't be started for want of it.
  private func opened() async throws(DoorError) -> Conversation {
    if let conversation {
      if await conversation.canGoOn() { return conversation }
      await drop()
    }
    let program = try await door.program()
    let link = try await link()
    let connection: SSHConnection
    do throws(SSHError) {
      connection = try await link.freeConnection()
    } catch {
      throw DoorError(error, isAsked: false)
    }
    var outcome = try await greeted(on: connection, program)
    if case .ended(let output) = outcome {
      // 127: a shell's word for a program that is not there.
      try await bring(program, over: connection, isMissing: output.exit.status == 127)
      outcome = try await greeted(on: connection, program)
    }
    switch outcome {
    case .begun(let conversation):
      self.conversation = conversation
      return conversation
    case .ended(let output): throw DoorError(unstarted: output, program: program, target: connection.target)
    }
  }

  private enum Greeting {
    case begun(Conversation)
    case ended(RemoteOutput)
  }

  private func greeted(on connection: SSHConnection, _ program: HostProgram) async throws(DoorError)
    -> Greeting
  {
    let serve = [program.remotePath, "serve"]
    let arguments = connection.target.user == "root" ? serve : ["sudo", "-n", "--"] + serve
    let conversation: Conversation
    do throws(SSHError) {
      let id = try await connection.start(command: shellQuoted(arguments))
      conversation = Conversation(connection: connection, program: id)
    } catch {
      throw DoorError(error, isAsked: false)
    }
    do throws(Conversation.Failure) {
      let reply = try await conversation.exchange(
        .hello(version: hostProtocolVersion), within: door.options.stepWithin)
      switch reply {
      case .hello(let hello) where hello.version == hostProtocolVersion: return .begun(conversation)
      case .failed(let failure): throw .garbled("it refuses the conversation: \(failure)")
      default: throw .garbled("it does not answer the greeting of version \(hostProtocolVersion)")
      }
    } catch {
      await conversation.end()
      switch error {
      case .ended(let output): return .ended(output)
      case .connection(let error): throw DoorError(error, isAsked: false)
      case .garbled(let why):
        throw DoorError(
          .unusable,
          "\(connection.target.place): no conversation with the host program: \(escapedForTerminal(why))",
          hint: "a login script there that prints something would explain it")
      case .late: throw DoorError(connection.target.error(.deadline(.opening)), isAsked: false)
      }
    }
  }

  /// Brings the program there, unless it is there already: then its end had another cause, which shows itself again,
  /// or somebody else has brought it meanwhile.
  private func bring(
    _ program: HostProgram, over connection: SSHConnection, isMissing: Bool
  ) async throws(DoorError) {
    let push = ProgramPush(connection: connection, program: program, pool: door.pool, mark: mark)
    do throws(SSHError) {
      if !isMissing, try await push.isThere() { return }
      let isResumed = hasBegunPush
      hasBegunPush = true
      try await push.push(isResumed: isResumed)
      hasBegunPush = false
    } catch {
      throw DoorError(error, isAsked: false)
    }
  }

  // MARK: Files

  private func opened(_ path: String) async throws(DoorError) -> LocalFile {
    do {
      return try await door.pool.run { try LocalFile(path) }
    } catch {
      throw DoorError(.local, "\(error)")
    }
  }

  private func piece(of file: LocalFile, at offset: Int) async throws(DoorError) -> [UInt8] {
    do {
      let bytes = try await door.pool.run { try file.read(at: offset, count: Self.piece) }
      guard !bytes.isEmpty else {
        throw LocalFileError(path: file.path, code: 0, other: "it became shorter while it was sent")
      }
      return bytes
    } catch {
      await drop()
      throw DoorError(.local, "\(error)")
    }
  }

  // MARK: Turns

  /// Calls are made one after the other.
  private func takeTurn() async {
    idleTimer?.cancel()
    if isBusy {
      await withCheckedContinuation { turns.append($0) }
    } else {
      isBusy = true
    }
  }

  private func giveTurn() {
    guard turns.isEmpty else { return turns.removeFirst().resume() }
    isBusy = false
    guard conversation != nil else { return }
    idleTimer = loop.after(door.options.idleWithin) { [weak self] in
      guard let self else { return }
      Task { await self.closeIdle() }
    }
  }

  /// Unless somebody came after the timer.
  private func closeIdle() async {
    guard !isBusy else { return }
    await close()
  }
}
