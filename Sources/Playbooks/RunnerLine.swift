import FoundationEssentials
import RolloutModel

/// One line of what `ansible-runner run --json`, or `ansible-runner worker`, says. Whatever is not known is passed over, and of what
/// is known only these fields are looked at: a line may come from a host that means harm.
struct RunnerLine: Sendable {
  /// What a line says.
  enum Content: Sendable {
    case play(String)
    case task(PlaybookTask)
    case result(PlaybookTaskResult)
    /// The play ends here for all hosts that it has, whether they failed or not.
    case playEnded
    /// The numbers of all hosts, at the end.
    case stats([String: PlaybookCounts], told: [String: [String: String]])
    /// What Ansible says outside of any task.
    case words(String)
    /// Of a worker: how the run has ended.
    case status(String, explanation: String)
    /// Of a worker: so many bytes of Base64 follow.
    case artifacts(encodedBytes: Int)
    /// Of a worker: nothing follows.
    case end
    case other
  }

  /// The longest line that is read.
  static let limit = 4 << 20
  /// The most of a worker's artifacts that is passed over.
  private static let artifactLimit = 512 << 20

  let content: Content

  /// What a line says; nil where it is no JSON object. With `isSecret` no result's words are taken.
  init?(_ bytes: [UInt8], isSecret: Bool) {
    // What is no JSON is told from its absence by the caller.
    guard let raw = try? JSONDecoder().decode(Raw.self, from: Data(bytes)) else { return nil }
    content = Self.content(raw, isSecret)
  }

  private static func content(_ raw: Raw, _ isSecret: Bool) -> Content {
    if let status = raw.status {
      return .status(shown(status), explanation: shown(raw.job_explanation ?? "", 1000))
    }
    if let size = raw.zipfile {
      guard (0...artifactLimit).contains(size) else { return .other }
      return .artifacts(encodedBytes: (size + 2) / 3 * 4)
    }
    if raw.eof != nil { return .end }
    let data = raw.event_data
    let task = PlaybookTask(
      name: shown(data?.task ?? data?.task_action ?? "", 200), play: shown(data?.play ?? "", 200))
    func result(_ outcome: PlaybookTaskResult.Outcome) -> Content {
      guard let host = data?.host ?? data?.remote_addr else { return .other }
      let tells = outcome == .failed || outcome == .unreachable || outcome == .ignored
      return .result(
        PlaybookTaskResult(
          host: shown(host, 255), task: task, outcome: outcome,
          message: tells ? message(data?.res, isSecret) : ""))
    }
    switch raw.event {
    case "playbook_on_play_start": return .play(task.play)
    case "playbook_on_task_start", "playbook_on_handler_task_start": return .task(task)
    case "runner_on_ok": return result(data?.res?.changed ?? false ? .changed : .ok)
    case "runner_on_skipped": return result(.skipped)
    case "runner_on_failed": return result(data?.ignore_errors ?? false ? .ignored : .failed)
    case "runner_on_unreachable": return result(.unreachable)
    case "playbook_on_no_hosts_remaining": return .playEnded
    case "playbook_on_stats":
      return .stats(data?.counts ?? [:], told: (data?.told ?? [:]).mapValues(bounded))
    case "error", "verbose", "system_warning":
      return .words(shown(plainText((raw.stdout ?? "").prefix(4000)).replacing("\n", with: " "), 1000))
    default: return .other
    }
  }

  /// Why a task failed.
  private static func message(_ result: Raw.Result?, _ isSecret: Bool) -> String {
    guard !isSecret else { return "what it says is withheld, as the run has secrets of a vault" }
    guard let result else { return "" }
    guard !result.isHidden else { return "what it says is hidden (no_log)" }
    let item = result.results?.first { $0.failed ?? false && !$0.isHidden }
    let text = (words(result) + (item.map(words) ?? [])).joined(separator: ": ").prefix(4000)
    return shown(plainText(text).replacing("\n", with: " "), 2000)
  }

  /// The message of a result, and its last line of complaint.
  private static func words(_ result: Raw.Result) -> [String] {
    let complaint = [result.stderr, result.module_stderr].compactMap(\.self).lazy
      .compactMap { plainText($0.suffix(2000)).split(whereSeparator: \.isNewline).last }.first
    return [result.msg ?? "", complaint.map { String($0) } ?? ""].filter { !$0.isEmpty }
  }

  /// The first few values that a playbook tells of a host.
  private static func bounded(_ values: [String: String]) -> [String: String] {
    let pairs = values.sorted { $0.key < $1.key }.prefix(32).map { (shown($0.key), shown($0.value, 500)) }
    return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
  }

  private static func shown(_ text: String, _ limit: Int = 100) -> String {
    escapedForTerminal(text, limit: limit)
  }
}

/// The fields that are looked at. One of another type than expected is as if it weren't there.
private struct Raw: Decodable {
  struct Result: Decodable {
    var changed: Bool?
    var failed: Bool?
    var censored: String?
    var msg: String?
    var stderr: String?
    var module_stderr: String?
    var results: [Result]?
    private var hides: Bool?

    /// Whether the playbook wants nobody to see it.
    var isHidden: Bool { censored != nil || hides ?? false }

    private enum CodingKeys: String, CodingKey {
      case changed, failed, censored, msg, stderr, module_stderr, results
      case hides = "_ansible_no_log"
    }

    init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: CodingKeys.self)
      changed = fields.value(.changed)
      failed = fields.value(.failed)
      censored = fields.value(.censored)
      msg = fields.value(.msg)
      stderr = fields.value(.stderr)
      module_stderr = fields.value(.module_stderr)
      results = fields.value(.results)
      hides = fields.value(.hides)
    }
  }

  struct EventData: Decodable {
    var play: String?
    var task: String?
    var task_action: String?
    var host: String?
    var remote_addr: String?
    var ignore_errors: Bool?
    var res: Result?
    /// Of the last event, as the next.
    var told: [String: [String: String]]?
    var counts: [String: PlaybookCounts]

    private enum CodingKeys: String, CodingKey {
      case play, task, task_action, host, remote_addr, ignore_errors, res
      case ok, changed, skipped, failures, dark, rescued, ignored, processed
      case told = "artifact_data"
    }

    private enum ToldKeys: String, CodingKey { case switchyard }

    init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: CodingKeys.self)
      play = fields.value(.play)
      task = fields.value(.task)
      task_action = fields.value(.task_action)
      host = fields.value(.host)
      remote_addr = fields.value(.remote_addr)
      ignore_errors = fields.value(.ignore_errors)
      res = fields.value(.res)
      // Most playbooks tell nothing.
      let artifacts = try? fields.nestedContainer(keyedBy: ToldKeys.self, forKey: .told)
      told = artifacts?.value(.switchyard)
      let kinds: [(CodingKeys, WritableKeyPath<PlaybookCounts, Int>)] = [
        (.ok, \.ok), (.changed, \.changed), (.skipped, \.skipped), (.failures, \.failed),
        (.dark, \.unreachable),
        (.rescued, \.rescued), (.ignored, \.ignored),
      ]
      let processed: [String: Int] = fields.value(.processed) ?? [:]
      counts = processed.mapValues { _ in PlaybookCounts() }
      for (key, path) in kinds {
        let numbers: [String: Int] = fields.value(key) ?? [:]
        for (host, number) in numbers {
          // What a host's own runner counts is no more than a claim.
          counts[host, default: PlaybookCounts()][keyPath: path] = min(max(number, 0), 1_000_000)
        }
      }
    }
  }

  var event: String?
  var stdout: String?
  var event_data: EventData?
  var status: String?
  var job_explanation: String?
  var zipfile: Int?
  var eof: Bool?

  private enum CodingKeys: String, CodingKey {
    case event, stdout, event_data, status, job_explanation, zipfile, eof
  }

  init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    event = fields.value(.event)
    stdout = fields.value(.stdout)
    event_data = fields.value(.event_data)
    status = fields.value(.status)
    job_explanation = fields.value(.job_explanation)
    zipfile = fields.value(.zipfile)
    eof = fields.value(.eof)
  }
}

extension KeyedDecodingContainer {
  /// A field, where it is there and of this type.
  fileprivate func value<Value: Decodable>(_ key: Key) -> Value? {
    // Of another type it is as good as absent: what a host says is not trusted to have a form.
    (try? decodeIfPresent(Value.self, forKey: key)) ?? nil
  }
}
