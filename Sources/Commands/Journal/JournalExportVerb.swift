import ArgumentParser
import Glibc
import JournalStore
import RolloutModel

struct JournalExportVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write the records of a rollout, or of all, as lines of JSON that anybody can check.",
    discussion: """
      A line holds a record's number, its text as it is stored (payload), its hash and the hash before it: hash is the SHA-256 \
      of previous and payload, and the first record's previous is the SHA-256 of "switchyard rollout ID". What is damaged is a \
      line that says so.
      """)
  @OptionGroup var rollout: AnyRolloutOptions

  @Option(
    help: ArgumentHelp("A file to be made, for you alone; - is standard output.", valueName: "FILE"))
  var to = "-"

  func run() async throws {
    let rollouts = try Rollouts.read(rollout.state)
    let found = try await rollouts.inspect(rollout.selection)
    var count = DamageCount()
    count.add(found.damage)
    for line in found.damage { Output.error(line) }
    let file = to == "-" ? nil : try await NewFile(to)
    for rollout in found.rollouts { try await export(rollout, to: file, counting: &count) }
    try await file?.finish()
    try count.check(rollouts.directory)
  }

  private func export(
    _ rollout: RolloutInspection, to file: NewFile?, counting count: inout DamageCount
  ) async throws {
    var inspection = rollout
    while true {
      let records = try await inspection.next()
      guard !records.isEmpty else { break }
      var lines = ""
      for record in records {
        count.add(record)
        lines += try Output.jsonText(ExportedRecord(record, of: rollout.rollout), pretty: false)
      }
      if let file { try await file.write(lines) } else { try Self.print(lines) }
    }
    for line in inspection.damage { Output.error("rollout \(rollout.rollout): \(line)") }
    count.add(inspection.damage)
  }

  /// An export that is not whole must not be taken for one.
  private static func print(_ lines: String) throws {
    let code = Output.write(lines, to: STDOUT_FILENO)
    guard code == 0 || code == EPIPE else {
      throw CommandError.tool("the export could not be written whole: \(String(cString: strerror(code)))")
    }
  }
}
