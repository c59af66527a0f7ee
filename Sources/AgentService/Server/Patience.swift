import NIOCore
import Synchronization

/// Ends the connection of a client that takes or sends nothing for too long while it is waited for.
final class Patience: Sendable {
  private let channel: any Channel
  private let limit: Duration
  private let timer = Mutex<Scheduled<Void>?>(nil)

  init(_ channel: any Channel, limit: Duration) {
    self.channel = channel
    self.limit = limit
  }

  deinit { stop() }

  /// From now on the client is waited for.
  func start() {
    let channel = channel
    let next = channel.eventLoop.scheduleTask(in: TimeAmount(limit)) { channel.close(promise: nil) }
    timer.withLock { timer in
      timer?.cancel()
      timer = next
    }
  }

  /// The client did its part.
  func stop() {
    timer.withLock { timer in
      timer?.cancel()
      timer = nil
    }
  }
}
