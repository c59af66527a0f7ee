import HummingbirdCore
import NIOCore
import Synchronization

/// Bytes both ways between a request and a socket on this host: the request's body goes to the socket, what comes from there
/// is the answer's body. The end of either is carried on, and the other direction goes on without it.
///
/// Each direction holds as much as one read and a socket's buffers do: it reads on when the other side has taken that.
struct Relay: Sendable {
  /// The socket.
  let far: NIOAsyncChannel<ByteBuffer, ByteBuffer>
  /// The client's connection.
  let near: any Channel
  let body: CallBody
  /// How long nothing may move in either direction.
  let idle: Duration

  private enum Part: Sendable { case upward, watch }

  /// Relays until both directions have ended.
  func run(_ writer: inout any ResponseBodyWriter) async throws {
    let activity = Activity()
    try await far.executeThenClose { inbound, outbound in
      try await withThrowingTaskGroup(of: Part.self) { group in
        group.addTask {
          await carryBody(to: outbound, activity)
          return .upward
        }
        group.addTask {
          await watch(activity)
          return .watch
        }
        for try await piece in inbound {
          activity.note()
          try await writer.write(piece)
          activity.note()
        }
        // A relay that was broken off must not look like one that ended.
        try Task.checkCancellation()
        try await writer.finish(nil)
        while let part = try await group.next(), part != .upward {}
        group.cancelAll()
      }
    }
  }

  /// Lets go of the socket of a relay that never ran.
  func abandon() { far.channel.close(promise: nil) }

  private func carryBody(to outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, _ activity: Activity) async {
    guard var pieces = body.pieces() else { return outbound.finish() }
    while true {
      let piece: ByteBuffer?
      do {
        piece = try await pieces.next()
        try Task.checkCancellation()
      } catch {
        // The client broke off: whoever is at the socket must not take what came for all of it, as far as a socket can say that.
        return breakOff()
      }
      guard let piece else {
        body.end()
        return outbound.finish()
      }
      activity.note()
      // A socket that takes nothing more may still have something to say.
      do { try await outbound.write(piece) } catch { return }
      activity.note()
    }
  }

  private func watch(_ activity: Activity) async {
    while !Task.isCancelled {
      let left = activity.quiet.duration(to: .now)
      guard left < idle else { return breakOff() }
      do { try await Task.sleep(for: idle - left) } catch { return }
    }
  }

  private func breakOff() {
    far.channel.close(promise: nil)
    near.close(promise: nil)
  }

  /// When something moved last.
  private final class Activity: Sendable {
    private let last = Mutex(ContinuousClock.now)

    var quiet: ContinuousClock.Instant { last.withLock { $0 } }

    func note() { last.withLock { $0 = .now } }
  }
}
