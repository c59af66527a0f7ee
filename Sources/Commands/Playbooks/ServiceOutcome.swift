import ArgumentParser
import RolloutModel

/// How a deployment has ended: what each host runs now, in one exit code.
struct ServiceOutcome {
  /// How a host was left.
  enum Left: Hashable {
    case deployed
    /// As it was before: nothing was changed, or it was undone and that was seen.
    case asBefore
    /// Nothing was changed, for the values were refused.
    case refused
    /// Not known, or known not to work.
    case uncertain
    /// Nothing was done, and nothing seen.
    case unseen
  }

  let ended: PlaybookWork.Ended
  /// What the probes from here found wrong, by host.
  let seen: [String: String]

  /// Tells what the probes saw, and leaves with the exit code.
  func tell(_ output: OutputOptions) throws {
    for host in ended.report.hosts {
      guard let fault = seen[host.host] else { continue }
      Output.error("\(host.host): deployed and healthy on the host itself, but \(fault)")
    }
    if let code { throw ExitCode(code) }
  }

  /// Nil where all is done.
  var code: Int32? {
    if ended.isInterrupted || ended.report.isLate { return ended.code }
    let left = ended.report.hosts.map { seen[$0.host] == nil ? Self.left($0) : .uncertain }
    if left.allSatisfy({ $0 == .deployed }) { return nil }
    if left.contains(.uncertain) { return CommandError.rollbackIncomplete }
    if left.contains(.deployed) { return CommandError.exceptions }
    if left.contains(.unseen) { return CommandError.toolError }
    return left.allSatisfy { $0 == .refused } ? CommandError.invalidInput : CommandError.rolledBack
  }

  /// How a host was left, by the task that failed last.
  static func left(_ host: PlaybookHostReport) -> Left {
    switch host.outcome {
    case .ok, .changed, .skipped: .deployed
    case .unmatched: .unseen
    // A program that was installed before its configuration was judged serves nobody yet.
    case .failed where ServiceTask.refuses(host.failedTask): host.counts.changed == 0 ? .refused : .asBefore
    case .failed where host.failedTask == ServiceTask.restored: .asBefore
    case .failed where host.failedTask == ServiceTask.seeing: .unseen
    case .unreachable where host.failedTask == ServiceTask.seeing: .unseen
    case .unreachable where host.counts.ok == 0 && host.counts.changed == 0: .unseen
    case .failed, .unreachable, .lost: .uncertain
    }
  }
}

/// A host of `service status`.
struct ServiceStatusRow: Encodable {
  private let host: String
  private let outcome: String
  private let loaded: String
  private let active: String
  private let since: String
  private let proved: String
  private let reason: String

  init(_ report: PlaybookHostReport) {
    func told(_ name: String) -> String { report.told[name] ?? "" }
    host = report.host
    outcome = report.outcome.rawValue
    loaded = told("LoadState")
    active = [told("ActiveState"), told("SubState")].filter { !$0.isEmpty }.joined(separator: "/")
    since = told("ActiveEnterTimestamp")
    proved = told("proved")
    reason = report.reason
  }

  static func table(_ rows: [ServiceStatusRow], _ symbols: Symbols) -> [StyledText] {
    var table = Table(["host", "unit", "state", "since", "proved"])
    for row in rows {
      guard !row.loaded.isEmpty else {
        table.add([StyledText(row.host), StyledText(row.outcome, .bad), StyledText(row.reason)])
        continue
      }
      table.add([
        StyledText(row.host), StyledText(row.loaded), StyledText(row.active), StyledText(row.since, .faint),
        StyledText(row.proved, .faint),
      ])
    }
    return table.lines()
  }
}
