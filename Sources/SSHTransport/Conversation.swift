import EventLoop
import HostProtocol
import Ports
import RolloutModel

/// The conversation with a host program that has been started: frames out, frames in.
actor Conversation {
  nonisolated let connection: SSHConnection
  nonisolated var unownedExecutor: UnownedSerialExecutor { connection.unownedExecutor }
  private let program: Int
  private var frames = FrameReader()

  init(connection: SSHConnection, program: Int) {
    self.connection = connection
    self.program = program
  }

  /// Why a conversation has ended.
  enum Failure: Error {
    /// The connection has failed.
    case connection(SSHError)
    /// The program has ended, or says nothing more.
    case ended(RemoteOutput)
    /// What it said is no reply.
    case garbled(String)
    /// No reply within the time.
    case late
  }

  /// True while the program is there to be asked, as far as can be seen from here.
  func canGoOn() async -> Bool { await connection.isServing(program) }

  /// Sends a request and awaits its reply. After an error the conversation can't be gone on with.
  func exchange(_ request: HostRequest, within limit: Duration) async throws(Failure) -> HostReply {
    try await send(.request(request), within: limit)
    return try await reply(within: limit)
  }

  /// Sends a frame; returns when there is room for the next.
  func send(_ frame: Frame, within limit: Duration) async throws(Failure) {
    let bytes: [UInt8]
    do { bytes = try frame.encoded() } catch { throw .garbled("\(error)") }
    let (connection, program) = (connection, program)
    try await bounded(limit) { try await connection.write(bytes, to: program) }
  }

  private func reply(within limit: Duration) async throws(Failure) -> HostReply {
    let deadline = EventLoop.now + limit
    while true {
      if let frame = try nextFrame() {
        guard case .reply(let reply) = frame else { throw .garbled("a frame that is no reply") }
        return reply
      }
      let (connection, program) = (connection, program)
      let bytes = try await bounded(deadline - EventLoop.now) { try await connection.read(program) }
      guard !bytes.isEmpty else { throw try await ending(within: limit) }
      frames.push(bytes)
    }
  }

  private func nextFrame() throws(Failure) -> Frame? {
    do throws(FrameError) { return try frames.next() } catch { throw .garbled("\(error)") }
  }

  /// After the end of the program's output: how it ended.
  private func ending(within limit: Duration) async throws(Failure) -> Failure {
    let (connection, program) = (connection, program)
    return .ended(try await bounded(limit) { try await connection.result(program) })
  }

  /// Ends the program's input, which ends the program; what it still says is not waited for.
  func end() async { await connection.discard(program) }

  private func bounded<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
  ) async throws(Failure) -> Value {
    do throws(SSHError) {
      return try await connection.bounded(limit, .calling, body)
    } catch {
      throw error.reason == .deadline(.calling) ? .late : .connection(error)
    }
  }
}
