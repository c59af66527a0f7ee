import Dispatch
import Glibc
import Synchronization

/// Standard output and standard error of whoever must not wait for a reader: texts are written in their order, on a thread of their
/// own. What hosts' changes lead to is bounded by the rollout and always kept; what is said much more often may be left out.
final class PatientOutput: Sendable {
  /// Bytes that wait for a reader, above which what may be left out is.
  static let mostWaiting = 1 << 20

  private struct State {
    var waiting: [(text: String, descriptor: Int32)] = []
    var bytes = 0
    var isWriting = false
    var leftOut = 0
  }

  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "switchyard.output")
  private let write: @Sendable (String, Int32) -> Void

  /// Texts go to `write`, which may block.
  init(write: @escaping @Sendable (String, Int32) -> Void = { Output.write($0, to: $1) }) {
    self.write = write
  }

  /// Whether all that was said is written.
  var isIdle: Bool { state.withLock { !$0.isWriting } }

  /// How many texts were left out so far.
  var leftOut: Int { state.withLock { $0.leftOut } }

  /// Takes a text; never waits for its reader.
  func write(_ text: String, to descriptor: Int32 = STDOUT_FILENO, mayBeLeftOut: Bool = false) {
    let begins = state.withLock { state in
      if mayBeLeftOut, state.bytes >= Self.mostWaiting {
        state.leftOut += 1
        return false
      }
      state.waiting.append((text, descriptor))
      state.bytes += text.utf8.count
      defer { state.isWriting = true }
      return !state.isWriting
    }
    if begins { queue.async { self.drain() } }
  }

  /// Returns once all that was said before is written.
  func drained() async {
    await withCheckedContinuation { done in
      queue.async {
        // What was said may not have asked for its turn yet.
        self.drain()
        done.resume()
      }
    }
  }

  private func drain() {
    while true {
      let texts = state.withLock { state in
        // Whoever writes next begins anew only once this has found nothing more.
        state.isWriting = !state.waiting.isEmpty
        defer { state.waiting = [] }
        return state.waiting
      }
      guard !texts.isEmpty else { return }
      for (text, descriptor) in texts {
        write(text, descriptor)
        state.withLock { $0.bytes -= text.utf8.count }
      }
    }
  }
}
