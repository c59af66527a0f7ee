import CLinux
import Glibc

/// What is to be told about a file descriptor. Hang-ups and errors are always told.
public struct Interest: OptionSet, Hashable, Sendable {
  /// The bits.
  public let rawValue: UInt8
  /// A set from its bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// A read would not block.
  public static let read = Interest(rawValue: 1)
  /// A write would not block.
  public static let write = Interest(rawValue: 2)

  var epollBits: UInt32 {
    (contains(.read) ? EPOLLIN.rawValue | EPOLLRDHUP.rawValue : 0)
      | (contains(.write) ? EPOLLOUT.rawValue : 0)
  }
}

/// What a file descriptor is ready for. Level-triggered: told again as long as it holds.
public struct Readiness: OptionSet, Hashable, Sendable {
  /// The bits.
  public let rawValue: UInt8
  /// A set from its bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// A read would not block: there are bytes, or the end, or an error to be read.
  public static let read = Readiness(rawValue: 1)
  /// A write would not block.
  public static let write = Readiness(rawValue: 2)
  /// Both sides have hung up, or the descriptor is in error: the next read or write says which.
  public static let hangup = Readiness(rawValue: 4)

  init(epollBits bits: UInt32) {
    var ready: Readiness = []
    if bits & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue) != 0 { ready.insert(.read) }
    if bits & EPOLLOUT.rawValue != 0 { ready.insert(.write) }
    if bits & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { ready.insert(.hangup) }
    self = ready
  }
}

/// One file descriptor under watch. Used on the loop only; to be cancelled before the descriptor is closed.
public final class Watch {
  let descriptor: Int32
  let slot: Int
  let generation: UInt32
  let handler: (Readiness) -> Void
  private unowned let loop: EventLoop
  private var isCancelled = false
  /// What is told at present.
  public private(set) var interest: Interest

  init(
    loop: EventLoop, descriptor: Int32, slot: Int, generation: UInt32, interest: Interest,
    handler: @escaping (Readiness) -> Void
  ) {
    self.loop = loop
    self.descriptor = descriptor
    self.slot = slot
    self.generation = generation
    self.interest = interest
    self.handler = handler
  }

  /// The epoll word that leads back to this watch and to no later one in the same slot.
  var token: UInt64 { UInt64(generation) << 32 | UInt64(slot) }

  /// From now on tell this. Where the kernel refuses, the handler is called with `.hangup`.
  public func setInterest(_ wanted: Interest) {
    guard !isCancelled, wanted != interest else { return }
    interest = wanted
    loop.change(self)
  }

  /// No call of the handler any more, not even for what the kernel has already reported.
  public func cancel() {
    guard !isCancelled else { return }
    isCancelled = true
    loop.remove(self)
  }
}
