import MarkedYAML
import RolloutModel

extension Shape where Value == PlannedPlaybook {
  /// A playbook's file; what it needs is in its own folder. Whether it is there is seen when the plan is made. `folder` is
  /// where its path begins, with its slash.
  static func playbook(folder: String) -> Shape {
    Shape<String>.text("a playbook's path", upTo: 1024).map { path, _, _ in
      let whole = path.hasPrefix("/") ? path : folder + path
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
  static func hooks(folder: String) -> Shape {
    let before = Field<PlannedPlaybook?>.optional(
      WaveHook.beforeWave.rawValue,
      "a playbook that must pass on a wave's hosts before any of them is begun, a path relative to this file",
      .playbook(folder: folder))
    let after = Field<PlannedPlaybook?>.optional(
      WaveHook.afterWave.rawValue,
      "a playbook that must pass on a wave's promoted hosts before the next wave, a path relative to this file",
      .playbook(folder: folder))
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
