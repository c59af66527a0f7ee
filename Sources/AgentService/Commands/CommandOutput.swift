import Subprocess
import Synchronization

/// What a command says, as lines of JSON, up to a bound for both of its streams together.
final class CommandOutput: Sendable {
  private let tell: @Sendable (JSON) -> Void
  private let left: Mutex<Int>
  private let told = Mutex(false)

  init(limit: Int, tell: @escaping @Sendable (JSON) -> Void) {
    left = Mutex(limit)
    self.tell = tell
  }

  /// Reads a stream to its end. What is over the bound is read and dropped: a command must not wait for us for ever.
  func read(_ stream: SubprocessOutputSequence, as name: String) async throws {
    var text = UTF8Pieces()
    for try await buffer in stream {
      let bytes = buffer.withUnsafeBytes { Array($0) }
      send(text.add(bytes[...]), name)
    }
    send(text.rest(), name)
  }

  private func send(_ bytes: ArraySlice<UInt8>, _ name: String) {
    guard !bytes.isEmpty else { return }
    let taken = left.withLock { left in
      let taken = min(left, bytes.count)
      left -= taken
      return taken
    }
    if taken > 0 {
      tell(["stream": .text(name), "data": .text(String(decoding: bytes.prefix(taken), as: UTF8.self))])
    }
    let isFirst =
      taken < bytes.count
      && told.withLock { told in
        defer { told = true }
        return !told
      }
    if isFirst { tell(["truncated": true]) }
  }
}

/// Bytes of a text that arrives in pieces, handed on without cutting a character in two.
struct UTF8Pieces {
  private var held: [UInt8] = []

  /// What can be handed on now.
  mutating func add(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let all = held + bytes
    let whole = all.count - Self.unfinished(all)
    held = Array(all[whole...])
    return all[..<whole]
  }

  /// What is left at the end, whole or not.
  mutating func rest() -> ArraySlice<UInt8> {
    defer { held = [] }
    return held[...]
  }

  /// How many bytes at the end begin a character that is not whole.
  private static func unfinished(_ bytes: [UInt8]) -> Int {
    for back in 1...3 where back <= bytes.count {
      let byte = bytes[bytes.count - back]
      if byte & 0b1100_0000 == 0b1000_0000 { continue }
      let length = byte >= 0b1111_0000 ? 4 : byte >= 0b1110_0000 ? 3 : byte >= 0b1100_0000 ? 2 : 1
      return length > back ? back : 0
    }
    return 0
  }
}
