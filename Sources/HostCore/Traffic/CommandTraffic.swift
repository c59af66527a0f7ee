import RolloutModel

/// A program of the user's own moves traffic: called with `to SIDE PORT` it moves it (`to none 0`: to nobody), with `owner`
/// it prints the side (`none`: nobody).
package struct CommandTraffic: Traffic {
  private let argv: [String]
  private let deadline: Span

  /// The driver for a command; each call of it may take as long as `deadline`.
  package init(argv: [String], deadline: Span = .seconds(10)) {
    self.argv = argv
    self.deadline = deadline
  }

  /// Asks the program.
  package func observe(_ setup: AgentSetup) throws(HostFailure) -> TrafficView {
    let result = try run(["owner"])
    let word = result.outputText.drop(while: \.isWhitespace).prefix(while: { !$0.isWhitespace })
    if word == "none" { return TrafficView(owner: nil) }
    guard let side = Side(rawValue: String(word)) else {
      throw HostFailure(
        .trafficFailed,
        "\(title) owner printed \"\(escapedForTerminal(word, limit: 60))\", which is no side",
        hint: "it must print blue, green, adopted or none")
    }
    return TrafficView(owner: side)
  }

  /// Tells the program, then asks it who owns traffic: its exit status alone proves nothing.
  package func move(_ setup: AgentSetup, to side: Side?) throws(HostFailure) {
    let port = side.flatMap { setup.port(of: $0) } ?? 0
    _ = try run(["to", side?.rawValue ?? "none", "\(port)"])
    let owner = try observe(setup).owner
    guard owner == side else {
      throw HostFailure(
        .trafficFailed,
        "\(title) was told to move traffic to \(side?.rawValue ?? "none") and says that \(owner?.rawValue ?? "none") owns it"
      )
    }
  }

  /// A program that is missing, or can't say who owns traffic.
  package func obstacle(_ setup: AgentSetup) -> String? {
    do throws(HostFailure) {
      _ = try observe(setup)
      return nil
    } catch { return error.message }
  }

  /// Moves traffic to nobody.
  package func remove(_ setup: AgentSetup) throws(HostFailure) { try move(setup, to: nil) }

  private var title: String { escapedForTerminal(argv.joined(separator: " "), limit: 120) }

  private func run(_ arguments: [String]) throws(HostFailure) -> HostCommandResult {
    let result = try HostCommand.run(argv + arguments, deadline: deadline, outputLimit: 4096)
    guard result.status.isSuccess else {
      throw HostFailure(
        .trafficFailed,
        "\(title) \(arguments.joined(separator: " ")) ended with \(result.status): \(result.lastWords)")
    }
    return result
  }
}
