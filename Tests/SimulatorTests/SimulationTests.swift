import Testing

@testable import Simulator

@Suite("Simulated rollouts")
struct SimulationTests {
  @Test("No promise is broken on any seed")
  func seeds() throws {
    for seed in UInt64(1)...300 {
      let report = try Simulation.run(seed: seed)
      #expect(report.breaches.isEmpty, "seed \(seed): \(report.breaches)")
      guard report.breaches.isEmpty else { return }
    }
  }
}
