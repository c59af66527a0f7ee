import RolloutModel
import Testing

@testable import Simulator

@Suite("Simulated rollouts")
struct SimulationTests {
  @Test("No promise is broken on any seed", arguments: 0..<10)
  func seeds(_ group: UInt64) throws {
    for seed in (group * 60)..<(group * 60 + 60) {
      let report = try Simulation.run(seed: seed)
      #expect(
        report.breaches.isEmpty, "seed \(seed); see it again: simulate --from \(seed) --seeds 1 --trace")
    }
  }

  @Test("The same seed gives the same history")
  func deterministic() throws {
    for seed in UInt64(1)...20 {
      var options = Simulation.Options()
      options.isTraced = true
      let first = try Simulation.run(seed: seed, options)
      let second = try Simulation.run(seed: seed, options)
      #expect(first.trace == second.trace && !first.trace.isEmpty)
    }
  }

  @Test("Each planted bug breaks a promise within a thousand seeds", arguments: PlantedBug.allCases)
  func caught(_ bug: PlantedBug) throws {
    for seed in UInt64(1)...1000 where try !Simulation.run(seed: seed, bugs: [bug]).breaches.isEmpty {
      return
    }
    Issue.record("\(bug.rawValue) was not caught")
  }

  @Test("Rollouts end in every way there is")
  func ends() throws {
    var ends: Set<String> = []
    for seed in UInt64(1)...400 { ends.insert(try Simulation.run(seed: seed).state.rawValue) }
    #expect(
      ends == [
        "promoted", "promoted_with_exceptions", "rolled_back", "rollback_incomplete", "halted", "aborted",
      ])
  }
}
