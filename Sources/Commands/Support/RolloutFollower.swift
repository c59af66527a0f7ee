import ControllerMachine
import JournalStore
import RolloutEngine
import RolloutModel

/// A rollout's engine, brought on as its journal grows: whoever looks again reads only what is new.
actor RolloutFollower {
  private let rollouts: Rollouts
  private let id: String
  private var replay: JournalReplay<RolloutEngine>?
  private var after: Int64 = 0
  /// Why the journal can't be replayed: it can't be from then on, whatever is read of it.
  private var fault: CommandError?

  private static let limit = 2000

  /// A follower that has read nothing yet.
  init(_ rollouts: Rollouts, _ id: String) {
    self.rollouts = rollouts
    self.id = id
  }

  /// Whether it has started, as far as was read.
  var hasStarted: Bool { after > 1 }

  /// The engine as the journal leaves it now.
  func advance() async throws -> RolloutEngine {
    while true {
      let from = after
      let records = try await rollouts.store.records(of: id, after: from, limit: Self.limit)
      // Somebody else may have read on meanwhile.
      guard from == after else { continue }
      if let fault { throw fault }
      guard !records.isEmpty else { break }
      for record in records { try take(record) }
    }
    guard let replay else { throw CommandError.tool("rollout \(id) has no records") }
    return replay.engine
  }

  private func take(_ record: JournalRecord) throws {
    if replay == nil {
      guard case .plan(let plan) = record.entry else {
        throw CommandError.tool(
          "record \(record.sequence) of rollout \(id) is not its plan; the journal is damaged")
      }
      replay = JournalReplay(engine: RolloutEngine(plan: plan))
    } else {
      do { try replay?.take(record) } catch {
        let found = CommandError.tool("the journal of rollout \(id) can't be replayed: \(error)")
        fault = found
        throw found
      }
    }
    after = record.sequence
  }
}
