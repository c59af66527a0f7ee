/// Cuts bytes into lines. A line that is too long is dropped, and counted.
struct LineCutter {
  private let limit: Int
  private var held: [UInt8] = []
  private var isDropping = false
  /// Bytes behind a line of ours that are no lines and are passed over.
  private var toSkip = 0
  /// Lines that were too long.
  private(set) var dropped = 0

  init(limit: Int) { self.limit = limit }

  /// Calls `take` with each whole line, without its end; it returns how many bytes behind it are to be passed over.
  mutating func push(_ bytes: [UInt8], _ take: ([UInt8]) -> Int) {
    var rest = bytes[...]
    while !rest.isEmpty {
      if toSkip > 0 {
        let skipped = min(toSkip, rest.count)
        toSkip -= skipped
        rest = rest.dropFirst(skipped)
        continue
      }
      guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else {
        hold(rest)
        return
      }
      hold(rest[..<end])
      rest = rest[(end + 1)...]
      let line = held
      held = []
      if isDropping {
        isDropping = false
        dropped += 1
      } else {
        toSkip = take(line)
      }
    }
  }

  private mutating func hold(_ piece: ArraySlice<UInt8>) {
    guard !isDropping else { return }
    held += piece
    if held.count > limit {
      held = []
      isDropping = true
    }
  }
}
