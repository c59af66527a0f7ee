import Dispatch
import Glibc

/// Tells of SIGTERM and SIGINT instead of dying of them.
///
/// `@unchecked Sendable`: the sources are made once and not changed.
final class StopSignals: @unchecked Sendable {
  private let sources: [any DispatchSourceSignal]
  private let came: AsyncStream<Void>

  init() {
    let (came, tell) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    self.came = came
    sources = [SIGTERM, SIGINT].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { tell.yield() }
      source.resume()
      return source
    }
  }

  /// Returns when one came, or when the task is cancelled.
  func wait() async {
    for await _ in came { return }
  }
}
