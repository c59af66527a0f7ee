import RolloutModel

extension Simulation {
  /// A seed that breaks a promise, with as little of its faults as still breaks it.
  public struct Counterexample: Sendable {
    /// The kinds of faults that play no part.
    public var without: [Faults.Kind]
    /// Those that do.
    public var faults: [Faults.Kind]
    /// The promise.
    public var breach: Breach
    /// What happened, without the hosts that have no part in it.
    public var trace: [String]
  }

  /// Leaves out one kind of fault after the other, for as long as the same promise is broken. Nil where the seed breaks none.
  public static func shrink(seed: UInt64, _ options: Options = Options()) throws -> Counterexample? {
    var options = options
    guard let promise = try run(seed: seed, options).breaches.first?.promise else { return nil }
    for kind in Faults.Kind.allCases where !options.without.contains(kind) {
      var fewer = options
      fewer.without.insert(kind)
      if try run(seed: seed, fewer).breaches.first?.promise == promise { options = fewer }
    }
    options.isTraced = true
    let report = try run(seed: seed, options)
    guard let breach = report.breaches.first else { return nil }
    return Counterexample(
      without: Faults.Kind.allCases.filter(options.without.contains), faults: report.faults, breach: breach,
      trace: report.trace.filter { concerns(host(named: breach.what), line: $0) })
  }

  /// The host that a text names first, as `h3`; nil where it names none.
  private static func host(named text: String) -> String? {
    text.split(whereSeparator: { !$0.isLetter && !$0.isNumber })
      .first { $0.hasPrefix("h") && $0.count > 1 && $0.dropFirst().allSatisfy(\.isNumber) }
      .map(String.init)
  }

  /// Whether a line of a trace (`1000 h3 is cut off`) is of that host, or of none.
  private static func concerns(_ host: String?, line: String) -> Bool {
    guard let host, let named = self.host(named: line) else { return true }
    return named == host
  }
}
