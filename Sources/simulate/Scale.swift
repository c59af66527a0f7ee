import ArgumentParser
import Glibc
import RolloutModel
import Simulator

/// One rollout through ever larger fleets: what a host costs must not depend on how many there are.
struct Scale {
  /// Runs the rollouts and prints what each cost. Throws where one does not end promoted, or breaks a promise.
  static func run() throws {
    var costs: [Double] = []
    for count in [1000, 10_000, 100_000] {
      let study = Study(
        policy: policy, hosts: (1...count).map { "h\($0)" }, illness: nil, faults: Faults())
      let clock = ContinuousClock()
      let began = clock.now
      let result = try study.run(seeds: 1)
      let seconds = (clock.now - began) / .seconds(1)
      costs.append(seconds / Double(count))
      print(
        "\(count) hosts in \(hundredths(seconds)) s, \(Int(seconds / Double(count) * 1_000_000)) µs a host, at most \(peakMegabytes) MB so far: \(result.ends.keys.sorted().joined(separator: ", "))"
      )
      guard result.broken.isEmpty, result.ends == [RolloutState.promoted.rawValue: 1] else {
        throw ExitCode.failure
      }
    }
    if let most = costs.max(), let least = costs.min(), least > 0 {
      print("the dearest host cost \(hundredths(most / least)) times the cheapest")
    }
  }

  /// A canary, a tenth, the rest, with as many hosts in flight in a small fleet as in a large one.
  private static var policy: Policy {
    func wave(_ name: String, percent: Int) -> WaveDefinition {
      WaveDefinition(
        name: name, hosts: .share(basisPoints: percent * 100), batch: .count(200),
        soak: .seconds(10), approve: false)
    }
    return Policy(
      name: "scale",
      waves: [wave("canary", percent: 1), wave("early", percent: 10), wave("rest", percent: 100)],
      gate: Gate(successes: 3, interval: .seconds(2), timeout: .seconds(2), deadline: .seconds(60)),
      budget: Budget(canary: .count(0), wave: .count(0), fleet: .count(0), unreachable: .count(0)),
      onBreach: .rollback, confirmWithin: .seconds(60),
      keepOld: Retention(running: .seconds(3600), installed: .seconds(7200)), partial: false, soakTolerance: 0
    )
  }

  /// The most memory that this process has had so far.
  private static var peakMegabytes: Int {
    var usage = rusage()
    guard getrusage(RUSAGE_SELF.rawValue, &usage) == 0 else { return 0 }
    return usage.ru_maxrss / 1024
  }

  private static func hundredths(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}
