import ControllerMachine
import HostSteps
import RolloutEngine
import RolloutModel

/// Holds rollouts that really took place to the same promises as simulated ones, as far as a journal shows them: replay, starts
/// within budgets and waves, pauses, and a batch that is never exceeded.
public enum History {
  /// Why a history can't be judged.
  public struct Unreadable: Error {}

  /// The promises that a rollout's records show to have been broken. The plan comes first.
  public static func breaches(in records: [JournalRecord]) throws -> [Breach] {
    guard case .plan(let plan)? = records.first?.entry, let archive = plan.release.archives.first else {
      throw Unreadable()
    }
    let release = try ReleaseIdentities(of: plan).release(for: archive.architecture)
    let judge = Judge(plan: plan, enginePlan: plan, newDigest: release.digest, isOnlyShared: false)
    var now: Int64 = 0
    judge.now = { now }
    var replay = JournalReplay(engine: RolloutEngine(plan: plan))
    var step: [JournalEntry] = []
    for record in records.dropFirst() {
      do { try replay.take(record) } catch {
        judge.fail(.replay, "record \(record.sequence): \(error)")
        return judge.breaches
      }
      if case .event(let event) = record.entry {
        judge.appended(step)
        step = []
        now = event.at.milliseconds
        // Nobody else tells what a hook came to.
        if case .hook(let run, let outcome) = event.event { judge.ended(run, outcome) }
      }
      step.append(record.entry)
    }
    judge.appended(step)
    return judge.breaches
  }
}
