import NIOCore
import Synchronization

/// The clients' connections that are open.
final class Connections: Sendable {
  private let open = Mutex<[ObjectIdentifier: any Channel]>([:])

  var count: Int { open.withLock { $0.count } }

  /// Remembers a connection until it is closed.
  func add(_ channel: any Channel) {
    let name = ObjectIdentifier(channel)
    open.withLock { $0[name] = channel }
    channel.closeFuture.whenComplete { [self] _ in open.withLock { $0[name] = nil } }
  }

  /// Closes all of them, whatever is under way there.
  func closeAll() {
    let all = open.withLock { Array($0.values) }
    for channel in all { channel.close(promise: nil) }
  }
}
