import HummingbirdCore
import Logging
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
  /// How long a client may still send to a socket that takes nothing more, once the answer has ended.
  let patience: Duration
  let log: Logger

  private enum Part: Sendable { case upward, helper }

  /// Relays until both directions have ended.
  func run(_ writer: inout any ResponseBodyWriter) async throws {
    let activity = Activity()
    defer { activity.tell(log) }
    let refusal = Refusal()
    try await far.executeThenClose { inbound, outbound in
      try await withThrowingTaskGroup(of: Part.self) { group in
        group.addTask {
          await carryBody(to: outbound, activity, refusal)
          return .upward
        }
        group.addTask {
          await watch(activity)
          return .helper
        }
        for try await piece in inbound {
          try await writer.write(piece)
          activity.note(down: piece.readableBytes)
        }
        // A relay that was broken off must not look like one that ended.
        try Task.checkCancellation()
        try await writer.finish(nil)
        group.addTask {
          await endIfRefused(refusal)
          return .helper
        }
        while let part = try await group.next(), part != .upward {}
        group.cancelAll()
      }
    }
  }

  /// Lets go of the socket of a relay that never ran. Its writer must be seen to its end: one that merely goes away ends the
  /// program.
  func abandon() {
    let far = far
    Task {
      // What closing says concerns nobody any more.
      try? await far.executeThenClose { _, _ in }
    }
  }

  private func carryBody(
    to outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>, _ activity: Activity, _ refusal: Refusal
  ) async {
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
      guard let piece else { return await endBody(outbound) }
      activity.note(up: piece.readableBytes)
      // What a socket doesn't take is read all the same: it may have more to say, and a client that can't send may not read.
      if refusal.isSet { continue }
      do { try await outbound.write(piece) } catch { refusal.set() }
      activity.note()
    }
  }

  /// Carries on the end of the request, once all that came before it is in the socket: closing would throw the rest away.
  private func endBody(_ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>) async {
    body.end()
    do { try await far.channel.writeAndFlush(ByteBuffer()).get() } catch {
      // It takes nothing more; there is nobody to tell that this was all.
    }
    outbound.finish()
  }

  /// A client that goes on sending to nobody has had the time to read the answer's end.
  private func endIfRefused(_ refusal: Refusal) async {
    while true {
      do { try await Task.sleep(for: patience) } catch { return }
      if refusal.isSet { return breakOff() }
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

  /// Whether the socket takes nothing more.
  private final class Refusal: Sendable {
    private let value = Mutex(false)

    var isSet: Bool { value.withLock { $0 } }

    func set() { value.withLock { $0 = true } }
  }

  /// When something moved last, and how much in all.
  private final class Activity: Sendable {
    private struct State: Sendable {
      var last = ContinuousClock.now
      var up = 0
      var down = 0
    }

    private let state = Mutex(State())
    private let began = ContinuousClock.now

    var quiet: ContinuousClock.Instant { state.withLock { $0.last } }

    func note(up: Int = 0, down: Int = 0) {
      state.withLock { state in
        state.last = .now
        // A relay of so many bytes that they can't be counted loses its count, not its life.
        state.up = state.up.addingReportingOverflow(up).partialValue
        state.down = state.down.addingReportingOverflow(down).partialValue
      }
    }

    func tell(_ log: Logger) {
      let (up, down) = state.withLock { ($0.up, $0.down) }
      log.info(
        "a relay ended",
        metadata: [
          "up": .stringConvertible(up), "down": .stringConvertible(down),
          "seconds": .stringConvertible(began.duration(to: .now).components.seconds),
        ])
    }
  }
}
