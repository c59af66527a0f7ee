import ArgumentParser
import JournalStore
import RolloutModel

struct JournalCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "journal", abstract: "Check, read and export the journal, damaged or not.",
    discussion: """
      These verbs only read: they may be used while a controller is at work. Each ends with exit code 1 where it met a damaged \
      record, and has shown the rest all the same.
      """,
    subcommands: [JournalVerifyVerb.self, JournalShowVerb.self, JournalExportVerb.self])
}

/// The rollout that a verb is about, where it may be all of them.
struct AnyRolloutOptions: ParsableArguments {
  @Argument(help: "The rollout; all of them where none is named.")
  var id: String?

  @OptionGroup var state: StateOptions

  var selection: RolloutSelection { id.map { .named($0) } ?? .all }
}

/// Counts what is damaged, and says it at the end.
struct DamageCount {
  private(set) var records = 0
  private var others = 0
  private var newer = 0

  /// Whether nothing was damaged.
  var isNone: Bool { records == 0 && others == 0 }

  /// Takes in a record.
  mutating func add(_ record: InspectedRecord) {
    guard let damage = record.damage else { return }
    records += 1
    if case .newer = damage { newer += 1 }
  }

  /// Takes in what is wrong with the file or with a rollout's row in the list.
  mutating func add(_ damage: [String]) { others += damage.count }

  /// Ends the verb with exit code 1 where something was damaged.
  func check(_ directory: String) throws {
    guard !isNone else { return }
    let journal = "the journal in \(escapedForTerminal(directory))"
    if others == 0, newer == records {
      throw CommandError.tool(
        "\(journal) holds records of a newer program; \(RecordDamage.newer(version: 0).hint)")
    }
    throw CommandError.tool(
      "\(journal) is damaged; `switchyard journal export` saves what can be read, then restore it from a backup; "
        + "`switchyard hosts rollback` needs no journal")
  }
}
