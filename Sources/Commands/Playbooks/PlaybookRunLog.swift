import Ports
import RolloutModel
import RunLogs

/// The log of a playbook's run, as `switchyard logs` prints it.
struct PlaybookRunLog: Sendable {
  /// The run's name there.
  let id: String
  private let writer: RunLogWriter
  private let time = SystemTimekeeper()

  /// Nil where it can't be written: a run is worth more than its log, and that is told.
  init?(_ job: PlaybookJob, state: String, complain: @escaping @Sendable (String) -> Void) {
    id = RunID.make(playbook: job.playbook)
    do throws(RunLogError) {
      writer = try RunLogWriter(id, in: RunLogFolder(state: state), complain: complain)
    } catch {
      complain(error.description)
      return nil
    }
    let hosts = job.hosts.map(\.name).joined(separator: ", ")
    write(nil, "\(Person.name) runs \(job.playbook)\(job.isCheck ? " as a check" : "") on \(hosts)")
  }

  /// Writes what an event says; the lines of `no_log` tasks have been withheld before.
  func take(_ event: PlaybookEvent) {
    switch event {
    case .door(let host, let choice): write(host, PlaybookText.door(choice))
    case .play(let name): write(nil, "play \(name)")
    case .task(let task, let host): write(host, "task \(task.name)")
    case .result(let result):
      write(
        result.host,
        "\(result.outcome.rawValue)  \(result.task.name)"
          + (result.message.isEmpty ? "" : ": \(result.message)"))
    case .ended(let report):
      write(
        report.host,
        "done: \(report.outcome.rawValue)  \(PlaybookText.counts(report.counts))"
          + (report.why.isEmpty ? "" : "  \(report.why)"))
    }
  }

  /// Writes how it has ended, and takes no more.
  func close(_ end: String) async {
    write(nil, end)
    await writer.close()
  }

  private func write(_ host: String?, _ text: String) {
    writer.write(RunLogLine(wall: time.wall, host: host, source: .playbook, text: text))
  }
}
