import Ports
import RolloutModel
import Synchronization

/// What one run of a rollout's playbook does, on its way to the run's log and to the journal.
final class PlaybookScribe: Sendable {
  /// Why it is run.
  private let occasion: PlaybookNews.Occasion
  private let places: [String: Int]
  private let log: any RunLog
  private let time: any Timekeeper
  private let kept: Mutex<KeptPlaybookEvents>

  /// For a run on these hosts of the plan.
  init(_ occasion: PlaybookNews.Occasion, hosts: [Int], of plan: Plan, log: any RunLog, time: any Timekeeper)
  {
    self.occasion = occasion
    let names = hosts.filter(plan.hosts.indices.contains).map { (plan.hosts[$0].name, $0) }
    places = Dictionary(names, uniquingKeysWith: { first, _ in first })
    self.log = log
    self.time = time
    kept = Mutex(KeptPlaybookEvents())
  }

  /// Writes to the log what an event says, and gives back what the journal is to keep of it.
  func take(_ event: PlaybookEvent) -> PlaybookNews? {
    if let words = event.words {
      log.write(
        RunLogLine(wall: time.wall, host: event.host, source: .playbook, text: "\(occasion.word) \(words)"))
    }
    return kept.withLock { $0.kept(event) }.map {
      PlaybookNews(occasion, host: event.host.flatMap { places[$0] }, $0)
    }
  }
}

extension PlaybookNews.Occasion {
  /// In an agent file or a policy it is called so.
  var word: String {
    switch self {
    case .prepare: "prepare"
    case .hook(let run): run.hook.rawValue
    }
  }
}

/// What the journal keeps of one run of a playbook: the door to each host, tasks that changed something or failed, and each host's
/// end. Those are bounded by the number of hosts, however long the playbook is; each host's end counts all tasks.
struct KeptPlaybookEvents: Sendable {
  /// Changes that are kept of a host, and failures besides. More than most playbooks have tasks.
  static let most = 100

  private var changes: [String: Int] = [:]
  private var failures: [String: Int] = [:]

  /// The event as it is kept; nil where it is not.
  mutating func kept(_ event: PlaybookEvent) -> PlaybookEvent? {
    switch event {
    case .play, .task: return nil
    case .door: return event
    case .result(let result):
      switch result.outcome {
      case .ok, .skipped: return nil
      case .changed: return Self.counts(result.host, in: &changes) ? event : nil
      case .failed, .unreachable, .ignored: return Self.counts(result.host, in: &failures) ? event : nil
      }
    case .ended(var report):
      // For whoever has asked for it: what it is is not known here, and it may be long.
      report.told = [:]
      return .ended(report)
    }
  }

  private static func counts(_ host: String, in numbers: inout [String: Int]) -> Bool {
    let number = numbers[host, default: 0]
    numbers[host] = min(number + 1, most)
    return number < most
  }
}
