import NIOCore

/// A channel of bytes, read and written by tasks.
struct ByteChannel: Sendable {
  let channel: any Channel
  private let queue: NIOLoopBound<ByteQueue>

  /// Of a channel to whose end a ``ByteQueue`` was added. On the channel's loop only.
  init(_ channel: any Channel, _ queue: ByteQueue) {
    self.channel = channel
    self.queue = NIOLoopBound(queue, eventLoop: channel.eventLoop)
  }

  /// Adds a queue to the end of a channel. On the channel's loop only.
  static func made(of channel: any Channel) throws -> ByteChannel {
    let queue = ByteQueue()
    try channel.pipeline.syncOperations.addHandler(queue)
    return ByteChannel(channel, queue)
  }

  var isOpen: Bool { channel.isActive }

  /// The next bytes; none at the end.
  func read() async throws -> [UInt8] {
    let (queue, loop) = (queue, channel.eventLoop)
    return try await loop.flatSubmit { queue.value.take(on: loop) }.get()
  }

  /// Sends; returns once it has gone out.
  func write(_ bytes: [UInt8]) async throws {
    try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
  }

  /// Ends our side; the other may go on.
  func finish() { channel.close(mode: .output, promise: nil) }

  func close() { channel.close(promise: nil) }

  /// Carries bytes both ways until both sides have ended, or one has failed.
  static func join(_ left: ByteChannel, _ right: ByteChannel) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await left.pour(into: right) }
      group.addTask { await right.pour(into: left) }
    }
    left.close()
    right.close()
  }

  private func pour(into other: ByteChannel) async {
    do {
      while true {
        let bytes = try await read()
        if bytes.isEmpty { return other.finish() }
        try await other.write(bytes)
      }
    } catch {
      // One side is gone, and what it was to be told with it: the other must not wait for it.
      close()
      other.close()
    }
  }
}
