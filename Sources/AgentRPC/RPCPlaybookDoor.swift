import EventLoop
import Ports
import RolloutModel

extension RPCDoor: PlaybookDoor {
  /// Opens a stream to the playbook runner behind a host's agent. Errors: nothing was asked of the runner.
  public func open(_ host: Host) async throws(DoorError) -> any PlaybookStream {
    do throws(RPCClient.Refusal) {
      let channel = try await client.open("/v1/playbooks", at: host.address)
      return RPCPlaybookStream(channel: channel, loop: client.loop, place: client.place(host.address))
    } catch {
      switch error {
      case .door(let error): throw error
      case .farSide(_, let words):
        throw DoorError(.unusable, "\(client.place(host.address)): no playbooks: \(words)")
      }
    }
  }

  /// In words, how a host is reached.
  public func way(to host: Host) -> String { "the agent at \(client.place(host.address))" }
}

/// A run of a playbook behind an agent.
private struct RPCPlaybookStream: PlaybookStream {
  let channel: ByteChannel
  let loop: HomeLoop
  let place: String

  func write(_ bytes: [UInt8], within limit: Duration) async throws(DoorError) {
    let channel = channel
    try await bounded(limit) { try await channel.write(bytes) }
  }

  func read(within limit: Duration) async throws(DoorError) -> [UInt8] {
    let channel = channel
    return try await bounded(limit) { try await channel.read() }
  }

  func close() async { channel.close() }

  private func bounded<Value: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
  ) async throws(DoorError) -> Value {
    do {
      return try await withDeadline(after: limit, on: loop, body)
    } catch {
      let why =
        error is DeadlineExceeded ? "nothing moved for \(limit)" : escapedForTerminal("\(error)")
      throw DoorError(.lost, "\(place): the connection was lost: \(why)")
    }
  }
}
