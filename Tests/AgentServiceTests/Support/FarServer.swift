import HostProtocol
import NIOCore
import NIOPosix
import Testing

/// One connection at the far side of a relay.
struct FarConnection: Sendable {
  let incoming: NIOAsyncChannelInboundStream<ByteBuffer>
  let channel: any Channel
  fileprivate let outgoing: NIOAsyncChannelOutboundWriter<ByteBuffer>

  func write(_ bytes: [UInt8]) async throws { try await outgoing.write(ByteBuffer(bytes: bytes)) }

  func write(_ text: String) async throws { try await outgoing.write(ByteBuffer(string: text)) }

  /// Waits until all is in the socket: closing would throw the rest away.
  func flush() async throws { try await channel.writeAndFlush(ByteBuffer()).get() }

  /// Closes for writing once all is in the socket.
  func end() async throws {
    try await flush()
    outgoing.finish()
  }
}

/// What stands behind a relay: a listener each of whose connections is served by a closure.
struct FarServer: Sendable {
  enum Place: Sendable { case unix(String), tcp }

  /// The TCP port; 0 for a Unix socket.
  let port: Int

  static func with<Value: Sendable>(
    _ place: Place, serve: @escaping @Sendable (FarConnection) async throws -> Void,
    _ body: @escaping @Sendable (FarServer) async throws -> Value
  ) async throws -> Value {
    let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
    let initializer: @Sendable (any Channel) -> EventLoopFuture<NIOAsyncChannel<ByteBuffer, ByteBuffer>> = {
      channel in
      channel.eventLoop.makeCompletedFuture {
        try NIOAsyncChannel(
          wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
      }
    }
    let listener =
      switch place {
      case .unix(let path):
        try await bootstrap.bind(
          unixDomainSocketPath: path, cleanupExistingSocketFile: true, childChannelInitializer: initializer)
      case .tcp:
        try await bootstrap.bind(host: "127.0.0.1", port: 0, childChannelInitializer: initializer)
      }
    let server = FarServer(port: listener.channel.localAddress?.port ?? 0)
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await listener.executeThenClose { connections in
          try await withThrowingDiscardingTaskGroup { served in
            for try await connection in connections {
              served.addTask {
                // One that broke off is the test's own doing.
                try? await connection.executeThenClose { incoming, outgoing in
                  try await serve(
                    FarConnection(incoming: incoming, channel: connection.channel, outgoing: outgoing))
                }
              }
            }
          }
        }
      }
      let result: Result<Value, any Error>
      do { result = .success(try await body(server)) } catch { result = .failure(error) }
      group.cancelAll()
      try? await listener.channel.close()
      while let _ = try? await group.next() {}
      return try result.get()
    }
  }

  /// A host program that answers nothing but greetings.
  static let greeter: @Sendable (FarConnection) async throws -> Void = { far in
    var frames = FrameReader()
    for try await piece in far.incoming {
      frames.push(Array(piece.readableBytesView))
      while let frame = try frames.next() {
        guard case .request(.hello(let version)) = frame else { return }
        try await far.write(
          try Frame.reply(
            .hello(
              HostHello(
                program: "1.2.3", version: version, bootID: "boot", architecture: "x86_64", privileged: true))
          ).encoded())
      }
    }
  }

  /// Sends back what comes; ends when the other side does.
  static let echo: @Sendable (FarConnection) async throws -> Void = { far in
    for try await piece in far.incoming { try await far.outgoing.write(piece) }
    try await far.end()
  }
}

/// Bytes that are different at every place, so that none can be lost, doubled or swapped unseen.
struct Pattern {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed | 1 }

  /// So many bytes in pieces of 64 KiB.
  static func pieces(_ seed: UInt64, _ count: Int) -> [[UInt8]] {
    var pattern = Pattern(seed)
    return (0..<(count / 65_536)).map { _ in pattern.next(65_536) }
  }

  mutating func next(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      withUnsafeBytes(of: state) { bytes += $0 }
    }
    return Array(bytes.prefix(count))
  }
}
