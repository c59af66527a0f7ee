import ArgumentParser
import JournalStore
import RolloutModel

struct JournalShowVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Print a rollout's records, damaged ones in their place.")
  @OptionGroup var rollout: RolloutOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("Only records behind this number.", valueName: "N"))
  var after: Int64 = 0

  @Option(help: ArgumentHelp("At most so many records.", valueName: "N"))
  var limit: Int?

  func run() async throws {
    guard after >= 0 else { throw CommandError.invalid("--after: a record's number, or 0 for all") }
    if let limit, limit < 1 { throw CommandError.invalid("--limit: 1 or more") }
    let rollouts = try Rollouts.read(rollout.state)
    let found = try await rollouts.inspect(rollout.id.map { .named($0) } ?? .newest)
    var count = DamageCount()
    count.add(found.damage)
    for line in found.damage { Output.error(line) }
    for rollout in found.rollouts { try await show(rollout, counting: &count) }
    try count.check(rollouts.directory)
  }

  private func show(_ rollout: RolloutInspection, counting count: inout DamageCount) async throws {
    var inspection = rollout
    var printer = RecordPrinter(isJSON: output.isJSON)
    var left = limit ?? .max
    while left > 0 {
      // From the first record on, whatever is shown: what is chained to it can be relied on, and it names the hosts.
      let records = try await inspection.next()
      guard !records.isEmpty else { break }
      for record in records {
        printer.learn(from: record)
        guard record.through > after, left > 0 else { continue }
        left -= 1
        count.add(record)
        try printer.print(record)
      }
    }
    for line in inspection.damage { Output.error("rollout \(rollout.rollout): \(line)") }
    count.add(inspection.damage)
  }
}

/// Records as `journal show` prints them.
private struct RecordPrinter {
  /// One record as JSON.
  private struct Shown: Encodable {
    var sequence: Int64
    var through: Int64?
    var version: Int?
    var wall: Int64?
    var entry: JournalEntry?
    var damaged: String?
  }

  let isJSON: Bool
  private var line = LogLine(nil)

  init(isJSON: Bool) { self.isJSON = isJSON }

  /// Takes the hosts' names from the plan.
  mutating func learn(from record: InspectedRecord) {
    if case .success(let found) = record.outcome, case .plan(let plan) = found.entry { line = LogLine(plan) }
  }

  func print(_ record: InspectedRecord) throws {
    let through = record.through == record.sequence ? nil : record.through
    switch record.outcome {
    case .success(let found):
      if isJSON {
        try Output.json(
          Shown(
            sequence: found.sequence, version: record.version, wall: found.wall, entry: found.entry),
          pretty: false)
      } else {
        Output.line("\(found.sequence)  \(line.text(of: found, host: nil) ?? "")")
      }
    case .failure(let damage):
      if isJSON {
        try Output.json(
          Shown(sequence: record.sequence, through: through, damaged: damage.why), pretty: false)
      } else {
        let numbers = "\(record.sequence)" + (through.map { " to \($0)" } ?? "")
        Output.line("\(numbers)  damaged: \(escapedForTerminal(damage.why))")
      }
    }
  }
}
