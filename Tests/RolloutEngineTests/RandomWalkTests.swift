import RolloutModel
import Testing

@testable import RolloutEngine

@Suite struct RandomWalkTests {
  @Test("Random rollouts through a world of faults keep every promise, and end in every way there is")
  func walks() throws {
    var ends: [RolloutState: Int] = [:]
    for seed in UInt64(0)..<1000 {
      var walk = try Walk(seed: seed)
      try walk.run()
      ends[walk.engine.state, default: 0] += 1
    }
    for state in [
      RolloutState.promoted, .promotedWithExceptions, .rolledBack, .rollbackIncomplete, .halted, .aborted,
    ] {
      #expect(ends[state, default: 0] >= 10, "only \(ends[state, default: 0]) walks ended \(state)")
    }
  }
}
