import RolloutModel
import Testing

@testable import Simulator

/// A few seeds, so that a change that breaks the simulator is seen here: `make test` runs thousands of them with the program
/// `simulate`, which doesn't keep other tests from their threads.
@Suite("Simulated rollouts", .serialized)
struct SimulationTests {
  @Test("No promise is broken on the first seeds")
  func seeds() throws {
    for seed in UInt64(1)...20 {
      let report = try Simulation.run(seed: seed)
      #expect(report.breaches.isEmpty && report.state.isEnd)
    }
  }

  @Test("The same seed gives the same history")
  func deterministic() throws {
    var options = Simulation.Options()
    options.isTraced = true
    for seed in UInt64(1)...5 {
      let first = try Simulation.run(seed: seed, options)
      let second = try Simulation.run(seed: seed, options)
      #expect(first.trace == second.trace && !first.trace.isEmpty)
    }
  }

  @Test(
    "A planted bug breaks a promise",
    arguments: [PlantedBug.flipBeforeGate, .confirmUnseen, .actBeforeAppend])
  func caught(_ bug: PlantedBug) throws {
    var options = Simulation.Options()
    options.bugs = [bug]
    let breaches = try (UInt64(1)...10).flatMap { try Simulation.run(seed: $0, options).breaches }
    #expect(!breaches.isEmpty)
  }

  @Test("A controller that is killed at a commit ends where one that lived does")
  func crashPoint() throws {
    #expect(try CrashPoints.run(seed: 1, everyNth: 8).differences.isEmpty)
  }
}
