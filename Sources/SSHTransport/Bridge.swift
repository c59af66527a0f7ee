import EventLoop
import Glibc

/// Carries bytes between a connected descriptor, which it owns, and a channel, both ways, holding no more than the
/// channel's own bounds and one piece. Lives on the loop.
final class Bridge {
  private let descriptor: Int32
  private let channel: Channel
  private let onEnd: () -> Void
  private var watch: Watch?
  /// Taken from the channel, not yet written.
  private var pending: [UInt8] = []
  private var pendingOffset = 0
  private var hasReadAll = false
  /// The other end takes nothing any more; what it has sent before may still lie there.
  private var isHungUp = false
  private var hasWrittenAll = false
  private var hasEnded = false
  private var isMoving = false
  private var mustMoveAgain = false

  private static let piece = 32 * 1024

  init(descriptor: Int32, channel: Channel, onEnd: @escaping () -> Void) {
    self.descriptor = descriptor
    self.channel = channel
    self.onEnd = onEnd
  }

  deinit { close(descriptor) }

  /// Begins to carry.
  func start(on loop: EventLoop) throws(EventLoopError) {
    watch = try loop.watch(descriptor, .read) { [weak self] ready in
      if ready.contains(.hangup) { self?.hangUp() }
      self?.move()
    }
    channel.onNews = { [weak self] in self?.move() }
    move()
  }

  /// Both directions of the other end are closed. The watch would tell that without end; from now on the channel's news
  /// drive what is left to be sent.
  private func hangUp() {
    isHungUp = true
    watch?.cancel()
  }

  /// Closes both sides.
  func end() {
    guard !hasEnded else { return }
    hasEnded = true
    watch?.cancel()
    watch = nil
    channel.onNews = nil
    channel.discard()
    onEnd()
  }

  private func move() {
    guard !isMoving else {
      mustMoveAgain = true
      return
    }
    isMoving = true
    repeat {
      mustMoveAgain = false
      guard !hasEnded else { break }
      let isBroken = channel.failure != nil || !drain() || !fill()
      // What was read last may still wait in the channel for the far side's window.
      if isBroken || (hasWrittenAll && (channel.isClosed || (hasReadAll && channel.isFlushed))) { end() }
    } while mustMoveAgain
    isMoving = false
    var interest: Interest = !hasReadAll && channel.hasRoom ? .read : []
    if !pending.isEmpty { interest.insert(.write) }
    watch?.setInterest(interest)
  }

  /// Channel to descriptor, as far as that takes it. False when the descriptor is broken.
  private func drain() -> Bool {
    if isHungUp {
      // Nobody is left to take it, but it must not hold up the far side.
      hasWrittenAll = true
      pending = []
      if channel.hasInput { _ = channel.take() }
    }
    while !hasWrittenAll {
      if pending.isEmpty {
        pending = channel.take()
        pendingOffset = 0
      }
      guard !pending.isEmpty else { break }
      let count = pending.withUnsafeBytes { bytes in
        send(
          descriptor, bytes.baseAddress?.advanced(by: pendingOffset), bytes.count - pendingOffset,
          Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return errno == EAGAIN || errno == EINTR }
      pendingOffset += count
      if pendingOffset == pending.count { pending = [] }
    }
    if channel.hasEnded, !channel.hasInput, !hasWrittenAll {
      hasWrittenAll = true
      shutdown(descriptor, Int32(SHUT_WR))
    }
    return true
  }

  /// Descriptor to channel, as far as there is room. False when the descriptor is broken.
  private func fill() -> Bool {
    while !hasReadAll, channel.hasRoom {
      var count = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: Self.piece) { buffer, filled in
        count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        filled = max(0, count)
      }
      if count < 0 { return errno == EAGAIN || errno == EINTR }
      if count == 0 {
        hasReadAll = true
        channel.finish()
      } else {
        channel.offer(bytes)
      }
    }
    return true
  }
}
