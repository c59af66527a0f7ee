import Glibc
import NIOCore
import NIOPosix

/// Connects to sockets on this host.
enum Dial {
  /// A connection, on the loop of the one that it is made for.
  static func connect(
    to address: SocketAddress, for channel: any Channel, within limit: Duration
  ) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
    try await ClientBootstrap(group: channel.eventLoop)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .connectTimeout(TimeAmount(limit))
      .connect(to: address) { far in
        far.eventLoop.makeCompletedFuture {
          try NIOAsyncChannel(
            wrappingChannelSynchronously: far, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
      }
  }

  /// In words, why a connection failed.
  static func reason(_ error: any Error) -> String {
    if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
    if case .some(.connectTimeout) = error as? ChannelError { return "it did not answer in time" }
    return "\(error)"
  }

  /// Whether nobody listens there.
  static func isRefusal(_ error: any Error) -> Bool { (error as? IOError)?.errnoCode == ECONNREFUSED }
}
