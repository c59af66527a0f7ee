import Glibc
import MarkedYAML
import RolloutModel

/// Where the paths of playbooks in a file begin.
struct PlaybookPaths: Sendable {
  /// The file's folder, with its slash.
  var folder: String
  /// Whether there must be a file. Who undoes something needs none.
  var mustExist: Bool
}

extension Shape where Value == PlannedPlaybook {
  /// A playbook's file; what it needs is in its own folder. What it says is looked at when the plan is made.
  static func playbook(_ paths: PlaybookPaths) -> Shape {
    Shape<String>.text("a playbook's path", upTo: 1024).map { path, node, diagnostics in
      let whole = path.hasPrefix("/") ? path : paths.folder + path
      if paths.mustExist, access(whole, F_OK) != 0 {
        diagnostics.report(
          node.place, "there is no playbook \(quoted(path)): \(String(cString: strerror(errno)))",
          "write the path of a playbook, relative to this file's folder")
        return nil
      }
      guard let slash = whole.lastIndex(of: "/") else {
        return PlannedPlaybook(project: ".", playbook: whole, digest: nil)
      }
      return PlannedPlaybook(
        project: slash == whole.startIndex ? "/" : String(whole[..<slash]),
        playbook: String(whole[whole.index(after: slash)...]), digest: nil)
    }
  }
}

extension Shape where Value == WaveHooks {
  /// Playbooks around each wave.
  static func hooks(_ playbooks: PlaybookPaths) -> Shape {
    let before = Field<PlannedPlaybook?>.optional(
      WaveHook.beforeWave.rawValue,
      "a playbook that must pass on a wave's hosts before any of them is begun, a path relative to this file",
      .playbook(playbooks))
    let after = Field<PlannedPlaybook?>.optional(
      WaveHook.afterWave.rawValue,
      "a playbook that must pass on a wave's promoted hosts before the next wave, a path relative to this file",
      .playbook(playbooks))
    return Shape.record("hooks", [before.description, after.description]) { record in
      let before = record.read(before)
      let after = record.read(after)
      guard let before, let after else { return nil }
      return WaveHooks(beforeWave: before, afterWave: after)
    }.map { hooks, node, diagnostics in
      guard hooks.beforeWave != nil || hooks.afterWave != nil else {
        diagnostics.report(
          node.place, "hooks name no playbook",
          "write before_wave: FILE or after_wave: FILE, or leave hooks out")
        return nil
      }
      return hooks
    }
  }
}

/// The folder of a file, with its slash; empty for the current one.
func folder(of path: String) -> String { path.lastIndex(of: "/").map { String(path[...$0]) } ?? "" }
