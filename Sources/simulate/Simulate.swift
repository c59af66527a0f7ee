import ArgumentParser
import Simulator

/// Runs simulated rollouts, and says which promises they broke and how each is seen again.
@main
struct Simulate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate", abstract: "Run simulated rollouts from seeds and check the promises.")

  @Option(help: "How many seeds.")
  var seeds: UInt64 = 2000

  @Option(help: "The first seed.")
  var from: UInt64 = 1

  @Option(help: "A planted bug that must be caught; may be repeated.")
  var bug: [String] = []

  @Option(help: "A kind of fault that is left out; may be repeated.")
  var without: [String] = []

  @Option(help: ArgumentHelp("Hold the rollouts of a real journal to the promises, too.", valueName: "DIR"))
  var history: String?

  @Flag(help: "Plant each bug in turn, and say after how many seeds it was caught.")
  var allBugs = false

  @Flag(help: "Kill the controller at every commit of each seed's rollout, and compare the ends.")
  var crashPoints = false

  @Flag(
    help:
      "Drive fleets of 1,000, 10,000 and 100,000 hosts through one rollout each, and say what a host costs.")
  var scale = false

  @Flag(help: "Print what happened, step by step.")
  var trace = false

  func validate() throws {
    guard !from.addingReportingOverflow(seeds).overflow else {
      throw ValidationError("--from \(from): there are no \(seeds) seeds after it")
    }
  }

  func run() async throws {
    if let history { try await Recorded.judge(history) } else { try simulate() }
  }

  private func simulate() throws {
    if allBugs {
      try catchAll()
      return
    }
    if scale {
      try Scale.run()
      return
    }
    if crashPoints {
      try crashEverywhere()
      return
    }
    let bugs = try bug.map { name in
      guard let bug = PlantedBug(rawValue: name) else {
        throw ValidationError(
          "no bug \(name); there are \(PlantedBug.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return bug
    }
    let left = try without.map { name in
      guard let kind = Faults.Kind.allCases.first(where: { "\($0)" == name }) else {
        throw ValidationError(
          "no fault \(name); there are \(Faults.Kind.allCases.map { "\($0)" }.joined(separator: ", "))")
      }
      return kind
    }
    let clock = ContinuousClock()
    let began = clock.now
    var broken = 0
    var milliseconds: Int64 = 0
    for seed in from..<(from + seeds) {
      var options = Simulation.Options()
      options.bugs = Set(bugs)
      options.without = Set(left)
      options.isTraced = trace
      let report = try Simulation.run(seed: seed, options)
      milliseconds += report.milliseconds * Int64(report.hosts)
      if trace { report.trace.forEach { print($0) } }
      if !report.breaches.isEmpty {
        broken += 1
        for breach in report.breaches where broken <= 20 {
          print("seed \(seed): promise \(breach.promise.rawValue), \(breach.promise): \(breach.what)")
        }
        if broken == 1, !trace { try explain(seed, options) }
      }
    }
    let seconds = Double((clock.now - began) / .milliseconds(1)) / 1000
    print(
      "\(seeds) seeds in \(seconds) s, \(Int(Double(seeds) / max(seconds, 0.001))) a second; \(milliseconds / 3_600_000) hours of hosts; \(broken) seeds broke a promise"
    )
    if broken > 0, bugs.isEmpty { throw ExitCode.failure }
  }

  /// What led to a breach, with as few faults as it takes, and how to see all of it again.
  private func explain(_ seed: UInt64, _ options: Simulation.Options) throws {
    guard let found = try Simulation.shrink(seed: seed, options) else { return }
    let last = found.trace.suffix(40)
    print("  with no other faults than \(found.faults.map { "\($0)" }.joined(separator: ", ")):")
    if last.count < found.trace.count { print("    … \(found.trace.count - last.count) lines before") }
    last.forEach { print("    \($0)") }
    print("    \(found.breach.promise): \(found.breach.what)")
    let bugs = options.bugs.map { " --bug \($0.rawValue)" }.sorted().joined()
    let without = found.without.map { " --without \($0)" }.joined()
    print("  again: simulate --from \(seed) --seeds 1 --trace\(bugs)\(without)")
  }

  private func crashEverywhere() throws {
    var points = 0
    var differences: [String] = []
    for seed in from..<(from + seeds) {
      let found = try CrashPoints.run(seed: seed)
      points += found.points
      differences += found.differences
    }
    differences.prefix(20).forEach { print($0) }
    print("\(points) crash points of \(seeds) rollouts; \(differences.count) ended otherwise")
    if !differences.isEmpty { throw ExitCode.failure }
  }

  private func catchAll() throws {
    var missed = 0
    for bug in PlantedBug.allCases {
      var caught: (seed: UInt64, breach: Breach)?
      for seed in from..<(from + seeds) where caught == nil {
        var options = Simulation.Options()
        options.bugs = [bug]
        if let breach = try Simulation.run(seed: seed, options).breaches.first { caught = (seed, breach) }
      }
      if let caught {
        print(
          "\(bug.rawValue): after \(caught.seed - from + 1) seeds by promise \(caught.breach.promise.rawValue), \(caught.breach.promise)"
        )
      } else {
        missed += 1
        print("\(bug.rawValue): NOT CAUGHT in \(seeds) seeds")
      }
    }
    if missed > 0 { throw ExitCode.failure }
  }
}
