import Dispatch
import Glibc

/// Tells of SIGINT, SIGTERM and SIGHUP instead of dying of them.
///
/// `@unchecked Sendable`: the sources are made once and only cancelled later, which Dispatch allows from any thread.
final class Signals: @unchecked Sendable {
  private let sources: [any DispatchSourceSignal]

  /// `onSignal` is called with how many signals have come so far.
  init(onSignal: @escaping @Sendable (Int) -> Void) {
    let queue = DispatchQueue(label: "switchyard.signals")
    let counter = Counter()
    var sources: [any DispatchSourceSignal] = []
    for number in [SIGINT, SIGTERM, SIGHUP] {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler { onSignal(counter.next()) }
      source.resume()
      sources.append(source)
    }
    self.sources = sources
  }

  /// The default ways of these signals come back.
  func end() {
    for source in sources { source.cancel() }
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_DFL) }
  }

  /// `@unchecked Sendable`: used on the signals' serial queue alone.
  private final class Counter: @unchecked Sendable {
    private var count = 0
    func next() -> Int {
      count += 1
      return count
    }
  }
}
