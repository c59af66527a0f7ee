import MarkedYAML
import RolloutModel

/// What is done on a host before anything of the agent is changed there.
struct PrepareField: Sendable {
  private let prepare: Field<PlannedPlaybook?>

  init(_ playbooks: PlaybookPaths) {
    prepare = .optional(
      "prepare", "a playbook that prepares each host, a path relative to this file", .playbook(playbooks)
    )
  }

  var descriptions: [FieldDescription] { [prepare.description] }

  /// Nil where a problem was reported; nil inside where there is none.
  func read(_ record: RecordReader) -> PlannedPlaybook?? { record.read(prepare) }
}
