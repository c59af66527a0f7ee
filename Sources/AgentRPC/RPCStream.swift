import EventLoop
import NIOCore
import Ports
import RolloutModel
import SSHTransport

/// A host program that an agent relays, as a stream.
struct RPCStream: HostStream {
  let channel: ByteChannel
  let loop: HomeLoop
  let place: String

  var executor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
  var isOpen: Bool { get async { channel.isOpen } }

  func write(_ bytes: [UInt8], within limit: Duration) async throws(StreamFailure) {
    let channel = channel
    try await bounded(limit) { try await channel.write(bytes) }
  }

  func read(within limit: Duration) async throws(StreamFailure) -> [UInt8] {
    let channel = channel
    return try await bounded(limit) { try await channel.read() }
  }

  /// What the program says to its error output stays with the host's journal.
  func lastWords(within limit: Duration) async throws(StreamFailure) -> LastWords {
    LastWords(text: "the agent has ended the stream")
  }

  func finishInput() async throws(StreamFailure) { channel.finish() }

  func end() async { channel.close() }

  private func bounded<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
  ) async throws(StreamFailure) -> Value {
    do {
      return try await withDeadline(after: limit, on: loop, body)
    } catch {
      if error is DeadlineExceeded {
        throw .late(DoorError(.lost, "\(place): no answer of the host program in time"))
      }
      throw .lost(
        DoorError(.lost, "\(place): the connection was lost: \(escapedForTerminal(connectionWords(error)))"))
    }
  }
}
