import RolloutModel

/// Kills the controller at every commit of a rollout and holds its end to that of the run that nobody killed.
public struct CrashPoints: Sendable {
  /// How many points were tried.
  public var points = 0
  /// What ended otherwise, and where the controller was killed.
  public var differences: [String] = []

  /// Tries all points of a seed's rollout, or every `everyNth`, without any other fault.
  public static func run(seed: UInt64, everyNth step: Int = 1) throws -> CrashPoints {
    var found = CrashPoints()
    var options = Simulation.Options()
    options.faults = Faults()
    options.isPlain = true
    let whole = try Simulation.run(seed: seed, options)
    guard whole.breaches.isEmpty, whole.state.isEnd else {
      found.differences.append("seed \(seed) by itself: \(whole.state.rawValue), \(whole.breaches)")
      return found
    }
    for commit in stride(from: 0, to: whole.commits, by: max(step, 1)) {
      for moment in Simulation.KillPoint.Moment.allCases {
        let point = Simulation.KillPoint(commit: commit, moment: moment)
        options.killPoint = point
        let report = try Simulation.run(seed: seed, options)
        found.points += 1
        if !report.breaches.isEmpty {
          found.differences.append("seed \(seed), \(point): \(report.breaches)")
        } else if report.state != whole.state || report.ends != whole.ends {
          let hosts = zip(whole.ends, report.ends).filter { $0 != $1 }.map { "\($1) rather than: \($0)" }
          found.differences.append("seed \(seed), \(point): \(report.state.rawValue): \(hosts)")
        }
      }
    }
    return found
  }
}
