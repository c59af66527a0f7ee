import Ports

/// A program that runs at the other end of a connection, as a stream.
struct SSHStream: HostStream {
  let connection: SSHConnection
  /// Its channel.
  let program: Int

  var executor: UnownedSerialExecutor { connection.unownedExecutor }
  var place: String { connection.target.place }
  var isOpen: Bool { get async { await connection.isServing(program) } }

  func write(_ bytes: [UInt8], within limit: Duration) async throws(StreamFailure) {
    let (connection, program) = (connection, program)
    try await bounded(limit) { try await connection.write(bytes, to: program) }
  }

  func read(within limit: Duration) async throws(StreamFailure) -> [UInt8] {
    let (connection, program) = (connection, program)
    return try await bounded(limit) { try await connection.read(program) }
  }

  func lastWords(within limit: Duration) async throws(StreamFailure) -> LastWords {
    let result = try await result(within: limit)
    // libssh2 has a status also for one that a signal ended.
    return LastWords(text: result.complaint, status: result.exit.signal == nil ? result.exit.status : nil)
  }

  /// What the program still prints, and how it ends.
  func result(within limit: Duration) async throws(StreamFailure) -> RemoteOutput {
    let (connection, program) = (connection, program)
    return try await bounded(limit) { try await connection.result(program) }
  }

  func finishInput() async throws(StreamFailure) {
    do throws(SSHError) { try await connection.finish(program) } catch {
      throw .lost(DoorError(error, isAsked: true))
    }
  }

  func end() async { await connection.discard(program) }

  private func bounded<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
  ) async throws(StreamFailure) -> Value {
    do throws(SSHError) {
      return try await connection.bounded(limit, .calling, body)
    } catch {
      let failure = DoorError(error, isAsked: true)
      throw error.reason == .deadline(.calling) ? .late(failure) : .lost(failure)
    }
  }
}
