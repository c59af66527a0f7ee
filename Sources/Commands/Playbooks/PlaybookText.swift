import RolloutModel

/// A run in words.
enum PlaybookText {
  /// The line of an event that matters to somebody who reads a log; nil for the others.
  static func line(_ event: PlaybookEvent, _ symbols: Symbols) -> StyledText? {
    switch event {
    case .door(let host, let choice): return StyledText("\(host)  \(door(choice))", .faint)
    case .result(let result):
      guard result.outcome != .ok, result.outcome != .skipped else { return nil }
      let message = result.message.isEmpty ? "" : ": \(result.message)"
      return StyledText("\(result.host)  \(result.outcome.rawValue)  \(result.task.name)\(message)")
    case .ended(let report):
      let why = report.reason.isEmpty ? "" : "  \(report.reason)"
      return StyledText("\(report.host)  done: \(report.outcome.rawValue)  \(counts(report.counts))\(why)")
    case .play(let name): return StyledText("play \(name)")
    case .task: return nil
    }
  }

  /// Each host, how it ended and why, and through which door.
  static func summary(_ report: PlaybookReport, _ symbols: Symbols) -> [StyledText] {
    var table = Table(["", "host", "outcome", "tasks", "door", "reason"])
    for host in report.hosts {
      table.add([
        StyledText(host.outcome.sign(symbols), host.outcome.style), StyledText(host.host),
        StyledText(host.outcome.rawValue, host.outcome.style), StyledText(counts(host.counts)),
        StyledText(door(host.door), .faint), StyledText(host.why),
      ])
    }
    var lines = table.lines()
    if report.isLate { lines.append(StyledText("the deadline has passed: the run was ended", .bad)) }
    return lines
  }

  /// The numbers that are not 0.
  static func counts(_ counts: PlaybookCounts) -> String {
    let all = [
      (counts.ok, "ok"), (counts.changed, "changed"), (counts.skipped, "skipped"), (counts.failed, "failed"),
      (counts.unreachable, "unreachable"), (counts.rescued, "rescued"), (counts.ignored, "ignored"),
    ]
    return all.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  }

  static func door(_ choice: PlaybookDoorChoice) -> String {
    switch choice.door {
    case .ssh: "over SSH: \(choice.why)"
    case .rpc: "through \(choice.why)"
    }
  }
}

/// An event as `--output json` has it, one a line.
struct PlaybookEventLine: Encodable {
  private var event: String
  private var host: String?
  private var door: PlaybookDoorChoice?
  private var play: String?
  private var task: String?
  private var outcome: String?
  private var message: String?
  private var report: PlaybookHostReport?

  init(_ event: PlaybookEvent) {
    switch event {
    case .door(let host, let choice):
      self.event = "door"
      self.host = host
      door = choice
    case .play(let name):
      self.event = "play"
      play = name
    case .task(let task, let host):
      self.event = "task"
      self.host = host
      play = task.play
      self.task = task.name
    case .result(let result):
      self.event = "result"
      host = result.host
      play = result.task.play
      task = result.task.name
      outcome = result.outcome.rawValue
      message = result.message.isEmpty ? nil : result.message
    case .ended(let report):
      self.event = "host"
      host = report.host
      self.report = report
    }
  }
}

/// The last line of `--output json`; `run` is the name of the run's log, where it has one.
struct PlaybookReportLine: Encodable {
  private let event = "report"
  private let run: String?
  private let report: PlaybookReport

  init(_ report: PlaybookReport, run: String?) {
    self.report = report
    self.run = run
  }
}
