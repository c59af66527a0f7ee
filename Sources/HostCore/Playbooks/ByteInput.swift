import Glibc
import RolloutModel

/// Lines and counted bytes from a descriptor, each awaited for so long at most.
struct ByteInput {
  private let descriptor: Int32
  private let within: Span
  private var waiting: [UInt8] = []

  init(_ descriptor: Int32, within: Span) {
    self.descriptor = descriptor
    self.within = within
  }

  /// Whether all that has come was taken.
  var isDrained: Bool { waiting.isEmpty }

  /// The next line without its end; nil at the end of the input.
  mutating func line(upTo limit: Int) throws(HostFailure) -> [UInt8]? {
    var searched = 0
    while true {
      if let end = waiting[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        let line = Array(waiting[..<end])
        waiting.removeFirst(end + 1)
        return line
      }
      searched = waiting.count
      guard searched <= limit else {
        throw HostFailure(.invalid, "the controller sent a line of more than \(limit) bytes")
      }
      guard try fill() else {
        guard waiting.isEmpty else { throw brokenOff }
        return nil
      }
    }
  }

  /// The next bytes, at least one and at most so many.
  mutating func bytes(upTo count: Int) throws(HostFailure) -> [UInt8] {
    if waiting.isEmpty, try !fill() { throw brokenOff }
    let piece = Array(waiting.prefix(count))
    waiting.removeFirst(piece.count)
    return piece
  }

  private var brokenOff: HostFailure {
    HostFailure(.invalid, "the controller broke off in the midst of what it sent")
  }

  /// False at the end.
  private mutating func fill() throws(HostFailure) -> Bool {
    let deadline = Deadline(in: within)
    while !deadline.passed {
      var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let ready = poll(&wait, 1, deadline.pollTimeout())
      if ready < 0 && errno != EINTR { throw systemFailure("waiting for the controller") }
      guard ready > 0,
        let piece = try readOnce(descriptor, limit: 256 * 1024, what: "reading from the controller")
      else { continue }
      waiting += piece
      return !piece.isEmpty
    }
    throw HostFailure(.deadline, "the controller sent nothing for \(within)")
  }
}
