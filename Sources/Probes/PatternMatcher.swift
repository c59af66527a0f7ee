import EventLoop
import Glibc
import Synchronization

/// Matches regular expressions on threads of its own: a pattern of the user's against a body of a stranger's can run
/// for a long time and can't be interrupted, so it may hold up neither the loop nor Swift's own threads.
///
/// At most ``limit`` matches run at once, the others wait. One that never ends costs its place for good; when no place
/// is left, patterns are no longer tried.
final class PatternMatcher: Sendable {
  enum Result: Sendable {
    case found, notFound
    /// The pattern is no regular expression.
    case invalid
    /// Begun, and not done by the deadline.
    case overdue
    /// Not begun by the deadline: other matches took all places.
    case notTried
  }

  /// Most matches at once.
  static let limit = 4
  /// Most compiled patterns that are kept.
  private static let kept = 256

  /// A compiled pattern.
  ///
  /// `@unchecked Sendable`: made from text it holds no closures, and whoever uses it has taken it out of the store.
  private struct Compiled: @unchecked Sendable {
    let regex: Regex<AnyRegexOutput>
  }

  private struct Work: Sendable {
    var id: UInt64
    var pattern: String
    var body: [UInt8]
    var continuation: CheckedContinuation<Result, Never>
  }

  private struct State {
    var idle: [String: Compiled] = [:]
    var waiting: [Work] = []
    var threads = 0
    var nextID: UInt64 = 0
  }

  private let loop: EventLoop
  private let state = Mutex(State())

  /// A matcher whose deadlines are kept by `loop`.
  init(loop: EventLoop) { self.loop = loop }

  /// Whether the pattern matches somewhere in the body, read as UTF-8 with invalid bytes replaced. A dot of the pattern
  /// stands for a Unicode scalar, not for a grapheme: `\r\n` is two.
  func match(_ pattern: String, in body: [UInt8], by deadline: ContinuousClock.Instant) async -> Result {
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    do {
      return try await withDeadline(deadline, on: loop) {
        await withCheckedContinuation {
          self.add(Work(id: id, pattern: pattern, body: body, continuation: $0))
        }
      }
    } catch {
      return giveUp(id) ? .notTried : .overdue
    }
  }

  private func add(_ work: Work) {
    let needsThread = state.withLock { state in
      state.waiting.append(work)
      guard state.threads < Self.limit else { return false }
      state.threads += 1
      return true
    }
    if needsThread { startThread() }
  }

  /// Takes back work that has not begun. False: it has.
  private func giveUp(_ id: UInt64) -> Bool {
    let work = state.withLock { state in
      state.waiting.firstIndex(where: { $0.id == id }).map { state.waiting.remove(at: $0) }
    }
    work?.continuation.resume(returning: .notTried)
    return work != nil
  }

  // MARK: The threads

  private func startThread() {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(self)
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<PatternMatcher>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    guard code != 0 else {
      pthread_detach(thread)
      return
    }
    // No thread: the work waits for another one, or until its deadline.
    context.release()
    state.withLock { $0.threads -= 1 }
  }

  /// Does what waits, then ends.
  private func run() {
    // Signals of the process are for its main thread.
    var all = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_BLOCK, &all, nil)
    while let (work, compiled) = next() {
      guard let compiled = compiled ?? Self.compile(work.pattern) else {
        work.continuation.resume(returning: .invalid)
        continue
      }
      let text = String(decoding: work.body, as: UTF8.self)
      // A thrown error is one of transforming captures, and there are no transforms in a pattern made from text.
      let isFound = (try? compiled.regex.firstMatch(in: text)) ?? nil != nil
      state.withLock { if $0.idle.count < Self.kept { $0.idle[work.pattern] = compiled } }
      work.continuation.resume(returning: isFound ? .found : .notFound)
    }
  }

  private func next() -> (Work, Compiled?)? {
    state.withLock { state in
      guard !state.waiting.isEmpty else {
        state.threads -= 1
        return nil
      }
      let work = state.waiting.removeFirst()
      return (work, state.idle.removeValue(forKey: work.pattern))
    }
  }

  private static func compile(_ pattern: String) -> Compiled? {
    // The files' reader has said where a pattern is wrong; here only that it is matters.
    (try? Regex(pattern)).map { Compiled(regex: $0.matchingSemantics(.unicodeScalar)) }
  }
}
