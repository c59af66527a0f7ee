import ArgumentParser
import JournalStore
import RolloutModel

struct JournalVerifyVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check the journal's file, and every record of a rollout or of all.")
  @OptionGroup var rollout: AnyRolloutOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let rollouts = try Rollouts.read(rollout.state)
    let inspection = try await rollouts.inspect(rollout.selection, checkingFile: true)
    var count = DamageCount()
    count.add(inspection.damage)
    var reports: [RolloutReport] = []
    for rollout in inspection.rollouts {
      reports.append(try await RolloutReport.make(of: rollout, counting: &count))
    }
    let report = JournalReport(
      journal: rollouts.directory, whole: count.isNone, damage: inspection.damage, rollouts: reports)
    if output.isJSON {
      try Output.json(report)
    } else {
      Output.styled { _ in report.lines }
    }
    try count.check(rollouts.directory)
  }
}

/// What `journal verify` found.
struct JournalReport: Encodable {
  /// The folder of the journal.
  var journal: String
  var whole: Bool
  /// What is wrong with the file.
  var damage: [String]
  var rollouts: [RolloutReport]

  /// For people.
  var lines: [StyledText] {
    var lines = rollouts.flatMap(\.lines)
    lines += damage.map { StyledText("file: \($0)", .bad) }
    let records = Words.count(rollouts.reduce(0) { $0 + $1.records }, "record")
    var sum = StyledText("\(journal): \(Words.count(rollouts.count, "rollout")), \(records): ")
    sum.add(whole ? "whole" : "damaged", whole ? .good : .bad)
    return lines + [sum]
  }
}

/// What `journal verify` found of one rollout.
struct RolloutReport: Encodable {
  /// Records in a row of which the same is to be said.
  struct Damaged: Encodable {
    var sequence: Int64
    /// The last one's number.
    var through: Int64
    var why: String
    var hint: String

    var line: StyledText {
      let numbers = through == sequence ? "record \(sequence)" : "records \(sequence) to \(through)"
      return StyledText("  \(numbers): \(why)", .bad)
    }
  }

  var id: String
  /// How many there are, damaged or not.
  var records = 0
  var first: Int64?
  var last: Int64?
  /// How many of them are sound.
  var readable = 0
  var whole = false
  var damaged: [Damaged] = []
  /// What is wrong with its row in the list of rollouts.
  var damage: [String] = []

  /// Reads all records of a rollout.
  static func make(
    of rollout: RolloutInspection, counting count: inout DamageCount
  ) async throws -> RolloutReport {
    var inspection = rollout
    var report = RolloutReport(id: rollout.rollout)
    while true {
      let records = try await inspection.next()
      guard !records.isEmpty else { break }
      for record in records {
        count.add(record)
        report.add(record)
      }
    }
    report.damage = inspection.damage
    report.whole = report.damaged.isEmpty && report.damage.isEmpty
    count.add(inspection.damage)
    return report
  }

  private mutating func add(_ record: InspectedRecord) {
    if record.payload != nil {
      records += 1
      first = first ?? record.sequence
      last = record.sequence
    }
    guard let damage = record.damage else {
      readable += 1
      return
    }
    if let before = damaged.last, before.through == record.sequence - 1, before.why == damage.why {
      damaged[damaged.count - 1].through = record.through
      return
    }
    damaged.append(
      Damaged(
        sequence: record.sequence, through: record.through, why: damage.why, hint: damage.hint))
  }

  /// For people.
  var lines: [StyledText] {
    var head = StyledText("rollout \(id)", .strong)
    head.add(": \(Words.count(records, "record"))")
    if let first, let last { head.add(", \(first) to \(last)") }
    if whole {
      head.add(", whole", .good)
    } else {
      head.add(", \(readable) readable, damaged", .bad)
    }
    return [head] + damaged.map(\.line) + damage.map { StyledText("  \($0)", .bad) }
  }
}
