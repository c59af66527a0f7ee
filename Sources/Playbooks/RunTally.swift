import RolloutModel

/// What has come of a run so far, for each of its hosts.
struct RunTally: Sendable {
  private struct Account: Sendable {
    var counts = PlaybookCounts()
    var failedTask = ""
    var reason = ""
    var told: [String: String] = [:]
    /// Whether the play that is under way has done something on it.
    var isInPlay = false
    /// Whether a play was ended for it as it was for all, in the midst of its tasks: Ansible's counts don't say so.
    var isBrokenOff = false
  }

  private var accounts: [String: Account]
  /// What failed on a host that is none of the run's: a play on the controller itself, after which Ansible begins no other.
  private var strange: (host: String, task: String, reason: String)?
  private var hasStats = false
  private var hasTasks = false
  /// What Ansible said before the first task. From then on a word of its own may repeat what a task must not say.
  private(set) var words: [String] = []

  private static let mostWords = 8

  init(hosts: [String]) {
    accounts = Dictionary(hosts.map { ($0, Account()) }, uniquingKeysWith: { first, _ in first })
  }

  /// Whether the run has come to its end by itself.
  var isComplete: Bool { hasStats }

  /// Takes in a line. Hosts that are not of this run are passed over: names in lines are no more than claims.
  mutating func take(_ content: RunnerLine.Content) {
    switch content {
    case .result(let result):
      accounts[result.host]?.isInPlay = true
      guard result.outcome == .failed || result.outcome == .unreachable else { return }
      if accounts[result.host] == nil { strange = (result.host, result.task.name, result.message) }
      // The failure before a rescue's own is what the rescue is for; the last one is what is left.
      accounts[result.host]?.failedTask = result.task.name
      accounts[result.host]?.reason = result.message
    case .stats(let stats, let told):
      hasStats = true
      for (host, values) in told { accounts[host]?.told = values }
      for (host, counts) in stats { accounts[host]?.counts = counts }
      let isStrangeWell = !stats.contains {
        accounts[$0.key] == nil && ($0.value.failed > 0 || $0.value.unreachable > 0)
      }
      // It was rescued, or is of no matter.
      if isStrangeWell { strange = nil }
    case .words(let text):
      if text.isEmpty || hasTasks { return }
      words.append(text)
      if words.count > Self.mostWords { words.removeFirst() }
    case .task: hasTasks = true
    case .play: for host in accounts.keys { accounts[host]?.isInPlay = false }
    case .playEnded:
      for (host, account) in accounts where account.isInPlay { accounts[host]?.isBrokenOff = true }
    case .status, .artifacts, .end, .other: return
    }
  }

  /// A host's end.
  func report(_ host: String, door: PlaybookDoorChoice, brokenOff: String?) -> PlaybookHostReport {
    let account = accounts[host] ?? Account()
    let counts = account.counts
    var report = PlaybookHostReport(
      host: host, outcome: Self.outcome(counts), counts: counts, door: door, failedTask: "", reason: "")
    report.told = account.told
    if !hasStats {
      report.outcome = .lost
      report.reason = brokenOff ?? words.joined(separator: " ")
      report.failedTask = account.failedTask
    } else if report.outcome == .failed || report.outcome == .unreachable {
      report.failedTask = account.failedTask
      report.reason = account.reason
    } else if account.isBrokenOff {
      report.outcome = .lost
      report.reason = "the play was ended for all of its hosts, as others had failed"
    } else if report.outcome == .unmatched, let strange {
      report.outcome = .failed
      report.failedTask = strange.task
      report.reason = "a play on \(strange.host) failed before any was for this host: \(strange.reason)"
    } else if report.outcome == .unmatched {
      report.reason = "no play of the playbook is for this host, or it ended before one was"
    }
    return report
  }

  private static func outcome(_ counts: PlaybookCounts) -> PlaybookHostReport.Outcome {
    if counts.unreachable > 0 { return .unreachable }
    if counts.failed > 0 { return .failed }
    if counts.changed > 0 { return .changed }
    if counts.ok > 0 { return .ok }
    // What was rescued or ignored was done, too.
    if counts.rescued > 0 || counts.ignored > 0 { return .ok }
    return counts.skipped > 0 ? .skipped : .unmatched
  }
}
