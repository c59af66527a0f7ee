import EventLoop
import FoundationEssentials
import Ports
import RolloutModel

/// Asks agents over RPC.
struct RPCAgentCaller: AgentCaller {
  let client: RPCClient

  func run(
    _ command: AgentCommandCall, on host: Host, within limit: Duration,
    tell: @escaping @Sendable (AgentCommandOutput) async -> Void
  ) async throws(DoorError) -> AgentCommandEnd {
    let place = client.place(host.address)
    let body: [UInt8]
    do { body = Array(try JSONEncoder().encode(command)) } catch {
      throw DoorError(.local, "the command can't be encoded: \(escapedForTerminal("\(error)"))")
    }
    let channel: ByteChannel
    do throws(RPCClient.Refusal) {
      channel = try await client.send(body, to: "/v1/commands", at: host.address)
    } catch {
      switch error {
      case .door(let error): throw error
      case .farSide(let words): return try Self.refusal(words, place)
      }
    }
    defer { channel.close() }
    let end = HomeLoop.now + limit
    let loop = client.loop
    let outcome = try await CommandStream.follow(
      at: place,
      read: { () async throws(DoorError) in
        do {
          return try await withDeadline(end, on: loop) { try await channel.read() }
        } catch {
          let words =
            error is DeadlineExceeded ? "no end of the command in time" : escapedForTerminal("\(error)")
          throw DoorError(.lost, "\(place): \(words)")
        }
      }, tell: tell)
    guard let outcome else {
      throw DoorError(.lost, "\(place): the agent ended the answer before the command's end")
    }
    return outcome
  }

  func way(to host: Host) async -> String { "RPC, the agent at \(client.place(host.address))" }

  /// An answer that is an error.
  private static func refusal(_ words: String, _ place: String) throws(DoorError) -> AgentCommandEnd {
    do throws(CommandLines.Garbled) {
      if case .end(let end) = try CommandLines.read(Array(words.utf8)) { return end }
    } catch {
      // Told below, with the words themselves.
    }
    throw DoorError(.unusable, "\(place): the agent can't run commands: \(escapedForTerminal(words))")
  }
}
