import MarkedYAML
import RolloutModel

/// What is done on a host before anything of the agent is changed there.
struct PrepareField: Sendable {
  private let prepare: Field<PreparePlaybook?>

  init(folder: String) {
    prepare = .optional(
      "prepare", "a playbook that prepares each host, a path relative to this file", .playbook(folder: folder)
    )
  }

  var descriptions: [FieldDescription] { [prepare.description] }

  /// Nil where a problem was reported; nil inside where there is none.
  func read(_ record: RecordReader) -> PreparePlaybook?? { record.read(prepare) }
}

extension Shape where Value == PreparePlaybook {
  /// A playbook's file; what it needs is in its own folder. Whether it is there is seen when the plan is made.
  fileprivate static func playbook(folder: String) -> Shape {
    Shape<String>.text("a playbook's path", upTo: 1024).map { path, _, _ in
      let whole = path.hasPrefix("/") ? path : folder + path
      guard let slash = whole.lastIndex(of: "/") else {
        return PreparePlaybook(project: ".", playbook: whole, digest: nil)
      }
      return PreparePlaybook(
        project: slash == whole.startIndex ? "/" : String(whole[..<slash]),
        playbook: String(whole[whole.index(after: slash)...]), digest: nil)
    }
  }
}
