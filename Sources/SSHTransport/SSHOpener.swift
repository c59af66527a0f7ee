import EventLoop
import HostProtocol
import Ports
import RolloutModel

/// Starts the host program over SSH, after bringing it there where that is needed.
actor SSHOpener: ProgramOpener {
  nonisolated let host: Host
  nonisolated var name: String { host.name }
  private nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
  private unowned let door: SSHDoor
  /// Sets this channel's partial files on hosts apart from those of others, of this door and elsewhere.
  private nonisolated let mark: String
  private var hasBegunPush = false

  init(host: Host, mark: String, door: SSHDoor) {
    self.host = host
    self.mark = mark
    self.door = door
    loop = door.loop
  }

  func link() async throws(DoorError) -> HostLink {
    do throws(SSHError) { return try await door.link(to: host) } catch {
      throw DoorError(error, isAsked: false)
    }
  }

  /// The program is brought there when it can't be started for want of it.
  func begin() async throws(DoorError) -> Conversation {
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
    case .begun(let conversation): return conversation
    case .ended(let output): throw DoorError(unstarted: output, program: program, target: connection.target)
    }
  }

  /// Closes the connections where nothing else goes over them.
  func release() async {
    // Without a configuration there was never a connection.
    if let link = try? await link() { await link.closeUnused() }
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
    let stream: SSHStream
    do throws(SSHError) {
      let id = try await connection.start(command: shellQuoted(arguments))
      stream = SSHStream(connection: connection, program: id)
    } catch {
      throw DoorError(error, isAsked: false)
    }
    let conversation = Conversation(stream)
    do throws(Conversation.Failure) {
      try await conversation.greet(within: door.options.stepWithin)
      return .begun(conversation)
    } catch {
      let outcome = await ending(error, of: stream)
      await conversation.end()
      return try outcome.get()
    }
  }

  /// What a greeting that failed comes to.
  private func ending(
    _ failure: Conversation.Failure, of stream: SSHStream
  ) async -> Result<Greeting, DoorError> {
    let target = stream.connection.target
    switch failure {
    case .ended:
      do throws(StreamFailure) {
        return .success(.ended(try await stream.result(within: door.options.stepWithin)))
      } catch {
        return .failure(error.error.beforeAsking)
      }
    case .stream(.late): return .failure(DoorError(target.error(.deadline(.opening)), isAsked: false))
    case .stream(.lost(let error)): return .failure(error.beforeAsking)
    case .garbled(let why):
      return .failure(
        DoorError(
          .unusable, "\(target.place): no conversation with the host program: \(escapedForTerminal(why))",
          hint: "a login script there that prints something would explain it"))
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
}
