import RolloutModel
import Testing

@testable import Simulator

@Suite("Every crash point")
struct CrashPointTests {
  @Test(
    "A controller that is killed at any commit, before, within and behind it, ends where one that lived does",
    arguments: UInt64(1)...24)
  func everyPoint(seed: UInt64) throws {
    // No fault but the crash: what differs, differs for its sake.
    var options = Simulation.Options()
    options.faults = Faults()
    let whole = try Simulation.run(seed: seed, options)
    try #require(whole.breaches.isEmpty && whole.state.isEnd)
    for commit in 0..<whole.commits {
      for moment in Simulation.KillPoint.Moment.allCases {
        options.killPoint = Simulation.KillPoint(commit: commit, moment: moment)
        let report = try Simulation.run(seed: seed, options)
        #expect(report.breaches.isEmpty, "seed \(seed), \(options.killPoint?.description ?? "")")
        #expect(report.state == whole.state, "seed \(seed), \(options.killPoint?.description ?? "")")
        #expect(report.ends == whole.ends, "seed \(seed), \(options.killPoint?.description ?? "")")
      }
    }
  }
}
