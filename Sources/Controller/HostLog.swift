import Ports
import RolloutModel
import Synchronization

/// One host's lines in the run's log.
final class HostLog: Sendable {
  private struct State {
    /// The last note without the time that it says is left, and when it was written.
    var lastNote = ""
    var notedAt = Moment(milliseconds: 0)
    /// The unit's lines that were written last.
    var tail: [String] = []
  }

  private let log: any RunLog
  private let host: String
  private let time: any Timekeeper
  private let state = Mutex(State())

  /// A note that says no more than the one before it, but for the time left, is written this often.
  private static let repeatEvery = Span.seconds(10)

  init(_ log: any RunLog, host: String, time: any Timekeeper) {
    self.log = log
    self.host = host
    self.time = time
  }

  func write(_ source: RunLogSource, _ text: String) {
    log.write(RunLogLine(wall: time.wall, host: host, source: source, text: text))
  }

  /// What a step waits for: said anew only where it has changed.
  func note(_ source: RunLogSource, _ text: String) {
    let now = time.now
    let essence = Self.withoutTimeLeft(text)
    let isNews = state.withLock { state in
      guard essence != state.lastNote || now.since(state.notedAt) >= Self.repeatEvery else { return false }
      state.lastNote = essence
      state.notedAt = now
      return true
    }
    if isNews { write(source, text) }
  }

  /// A unit's last lines: those are written that were not there the last time.
  func unit(_ lines: [String]) {
    let new = state.withLock { state in
      defer { state.tail = lines }
      return Self.news(in: lines, since: state.tail)
    }
    for line in new { write(.unit, line) }
  }

  /// The lines behind the longest end of `old` that `lines` begins with.
  static func news(in lines: [String], since old: [String]) -> ArraySlice<String> {
    for start in old.indices {
      let end = old[start...]
      if lines.count >= end.count, lines.starts(with: end) { return lines[end.count...] }
    }
    return lines[...]
  }

  private static func withoutTimeLeft(_ text: String) -> String {
    text.split(separator: ", ").filter { !$0.contains(" left") }.joined(separator: ", ")
  }
}
