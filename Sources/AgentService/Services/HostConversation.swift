import HTTPTypes
import HostProtocol
import NIOCore
import RolloutModel

/// A conversation of the agent's own with the host program.
struct HostConversation: Sendable {
  let socket: HostSocket

  private typealias Pieces = NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator

  /// Asks one thing after another; their answers, in order. `limit` is for all of them together.
  func ask(
    _ requests: [HostRequest], for channel: any Channel, within limit: Duration
  ) async throws -> [HostReply] {
    let far = try await socket.connect(for: channel)
    do {
      return try await AgentService.within(limit) {
        try await far.executeThenClose { inbound, outbound in
          var frames = FrameReader()
          var pieces = inbound.makeAsyncIterator()
          var replies: [HostReply] = []
          for request in [.hello(version: hostProtocolVersion)] + requests {
            try await outbound.write(ByteBuffer(bytes: try Frame.request(request).encoded()))
            let reply = try await Self.reply(&frames, &pieces)
            if replies.isEmpty, case .failed(let failure) = reply { throw AgentError(host: failure) }
            replies.append(reply)
          }
          return Array(replies.dropFirst())
        }
      }
    } catch is DeadlinePassed {
      throw AgentError(
        .gatewayTimeout, "host_timeout", "the host program did not answer in \(limit)",
        hint: "look at switchyard-host@*.service on the host, and ask again")
    }
  }

  private static func reply(_ frames: inout FrameReader, _ pieces: inout Pieces) async throws -> HostReply {
    while true {
      do throws(FrameError) {
        if let frame = try frames.next() {
          guard case .reply(let reply) = frame else { throw FrameError.malformed("it is no reply") }
          return reply
        }
      } catch {
        throw AgentError(
          .badGateway, "host_garbled",
          "the host program's answer can't be read: \(escapedForTerminal("\(error)"))",
          hint: "use the host program that came with the agent")
      }
      guard let piece = try await pieces.next() else {
        try Task.checkCancellation()
        throw AgentError(
          .badGateway, "host_ended", "the host program ended before it answered",
          hint: "see journalctl -u 'switchyard-host@*' on the host")
      }
      frames.push(Array(piece.readableBytesView))
    }
  }
}

extension AgentError {
  /// What the host program did not do, as the agent tells it.
  init(host failure: HostFailure) {
    let status: HTTPResponse.Status =
      switch failure.code {
      case .notFound: .notFound
      case .invalid: .forbidden
      case .leaseHeld, .staleLease, .staleBelief: .conflict
      case .deadline: .gatewayTimeout
      case .shuttingDown: .serviceUnavailable
      default: .badGateway
      }
    self.init(status, Self.code(failure.code), failure.message, hint: failure.hint)
  }

  private static func code(_ code: HostFailure.Code) -> String {
    switch code {
    case .notFound: "not_found"
    case .invalid: "forbidden"
    case .leaseHeld, .staleLease, .staleBelief: "protected"
    case .deadline: "host_timeout"
    case .shuttingDown: "shutting_down"
    default: "host_failed"
    }
  }
}
