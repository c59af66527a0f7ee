import ArgumentParser
import JournalStore
import RolloutModel
import Simulator

/// The rollouts of a real journal, held to the promises.
enum Recorded {
  /// Prints what each rollout broke, and how many there were. Throws where one broke anything.
  static func judge(_ directory: String) async throws {
    let store = try JournalStore(reading: directory)
    var (rollouts, records, broken) = (0, 0, 0)
    for summary in try await store.rollouts() {
      let found = try await all(of: summary.id, in: store)
      rollouts += 1
      records += found.count
      for breach in try History.breaches(in: found) {
        broken += 1
        print("\(summary.id): promise \(breach.promise.rawValue), \(breach.promise): \(breach.what)")
      }
    }
    print("\(rollouts) rollouts, \(records) records; \(broken) promises broken")
    if broken > 0 { throw ExitCode.failure }
  }

  private static func all(of rollout: String, in store: JournalStore) async throws -> [JournalRecord] {
    var found: [JournalRecord] = []
    while true {
      let page = try await store.records(of: rollout, after: found.last?.sequence ?? 0, limit: 2000)
      guard !page.isEmpty else { return found }
      found += page
    }
  }
}
