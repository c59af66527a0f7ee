import EventLoop
import HostProtocol
import Ports
import RolloutModel

/// Begins conversations with one host's program.
package protocol ProgramOpener: Sendable {
  /// The host's name, for messages.
  var name: String { get }
  /// A conversation that was begun with a greeting.
  func begin() async throws(DoorError) -> Conversation
  /// A conversation is over: a connection over which nothing goes any more may be closed.
  func release() async
}

/// Calls to one host's program, one after the other, over a conversation that is begun when it is needed.
package actor ProgramChannel {
  package nonisolated let opener: any ProgramOpener
  private nonisolated let loop: EventLoop
  /// The host program's calls run on the door's loop.
  package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
  private nonisolated let pool: BlockingPool
  private nonisolated let idleWithin: Duration
  private(set) var conversation: Conversation?
  private var isBusy = false
  private var turns: [CheckedContinuation<Void, Never>] = []
  private var idleTimer: LoopTimer?

  private static let piece = Frame.dataLimit

  /// A channel without a conversation. Files are read on `pool`; what was not used for `idleWithin` is closed.
  package init(opener: any ProgramOpener, loop: EventLoop, pool: BlockingPool, idleWithin: Duration) {
    self.opener = opener
    self.loop = loop
    self.pool = pool
    self.idleWithin = idleWithin
  }

  /// Sends a request and awaits its reply; the time counts from the moment when the conversation is open.
  package func call(_ request: HostRequest, within limit: Duration) async throws(DoorError) -> HostReply {
    await takeTurn()
    defer { giveTurn() }
    return try await exchange(request, within: limit)
  }

  /// Announces the archive, sends what the host lacks of it, and returns the reply to its end.
  package func stage(
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
      throw DoorError(.garbled, "\(opener.name): the host has \(have) bytes of an archive of \(file.size)")
    }
    while offset < file.size {
      let bytes = try await piece(of: file, at: offset)
      try await send(.data(bytes), within: limit)
      offset += bytes.count
    }
    do throws(DoorError) {
      return try await exchange(.stageEnd(key, release), within: limit)
    } catch {
      // The host has heard the beginning: another door must not begin anew without looking.
      let isLate = [.unreachable, .refused, .unusable].contains(error.kind)
      throw isLate ? DoorError(.lost, error.message, hint: error.hint) : error
    }
  }

  /// Ends the conversation.
  package func close() async {
    await takeTurn()
    defer { giveTurn() }
    await drop()
    await opener.release()
  }

  // MARK: The conversation

  private func exchange(_ request: HostRequest, within limit: Duration) async throws(DoorError) -> HostReply {
    let conversation = try await opened()
    do throws(Conversation.Failure) {
      return try await conversation.exchange(request, within: limit)
    } catch {
      throw await dropped(conversation, error, within: limit)
    }
  }

  private func send(_ frame: Frame, within limit: Duration) async throws(DoorError) {
    guard let conversation else { throw DoorError(.lost, "\(opener.name): the conversation was closed") }
    do throws(Conversation.Failure) {
      try await conversation.send(frame, within: limit)
    } catch {
      throw await dropped(conversation, error, within: limit)
    }
  }

  private func dropped(
    _ conversation: Conversation, _ failure: Conversation.Failure, within limit: Duration
  ) async -> DoorError {
    let error = await conversation.doorError(failure, within: limit)
    await drop()
    return error
  }

  private func drop() async {
    let ending = conversation
    conversation = nil
    await ending?.end()
  }

  private func opened() async throws(DoorError) -> Conversation {
    if let conversation {
      if await conversation.canGoOn() { return conversation }
      await drop()
    }
    let begun = try await opener.begin()
    conversation = begun
    return begun
  }

  // MARK: Files

  private func opened(_ path: String) async throws(DoorError) -> LocalFile {
    do {
      return try await pool.run { try LocalFile(path) }
    } catch {
      throw DoorError(.local, "\(error)")
    }
  }

  private func piece(of file: LocalFile, at offset: Int) async throws(DoorError) -> [UInt8] {
    do {
      let bytes = try await pool.run { try file.read(at: offset, count: Self.piece) }
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
    idleTimer = loop.after(idleWithin) { [weak self] in
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
