import ArgumentParser
import Inventory
import MarkedYAML
import PolicyFiles
import RolloutModel
import Simulator

/// What a policy would bear: many rollouts of it in a simulated fleet.
struct SimulateVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Show what a policy would make of a bad release or a bad network, before any host is touched.",
    discussion: """
      --fault KIND=RATE: what the release suffers from, on which share of the hosts \
      (\(Study.Illness.allCases.map(\.rawValue).joined(separator: ", "))), or what else goes wrong, in which share of the chances \
      (\(Hardship.allCases.map(\.rawValue).joined(separator: ", "))). RATE is a percentage: sickens=5%. Sickness and crashes come half \
      a minute after the start. Approvals are given at once.
      """)

  @Option(help: ArgumentHelp("The policy.", valueName: "F")) var policy: String
  @Option(help: ArgumentHelp("How many hosts.", valueName: "N")) var hosts: Int?
  @Option(help: ArgumentHelp("An inventory in place of --hosts.", valueName: "F")) var inventory: String?
  @Option(help: ArgumentHelp("What goes wrong, and how often; may be repeated.", valueName: "KIND=RATE"))
  var fault: [String] = []
  @Option(help: ArgumentHelp("How many rollouts.", valueName: "K")) var seeds = 100
  @OptionGroup var output: OutputOptions

  func run() async throws {
    guard (1...100_000).contains(seeds) else { throw CommandError.invalid("--seeds: from 1 to 100000") }
    let study = try await study()
    let result = try study.run(seeds: seeds)
    if output.isJSON {
      try Output.json(result)
    } else {
      for line in StudyText(study: study, result: result).lines() { Output.line(line.plain) }
    }
    if !result.broken.isEmpty {
      throw CommandError.tool(
        "Switchyard broke a promise on seeds \(result.broken.prefix(5).map(String.init).joined(separator: ", ")): report this as a bug"
      )
    }
  }

  private func study() async throws -> Study {
    let policy: Policy
    do throws(FileProblems) { policy = try PolicyFile.load(path: self.policy) } catch {
      throw CommandError.invalid("\(error)")
    }
    var study = Study(policy: policy, hosts: try await names(), illness: nil, faults: Faults())
    for text in fault { try Hardship.add(text, to: &study) }
    return study
  }

  private func names() async throws -> [String] {
    switch (hosts, inventory) {
    case (let count?, nil):
      guard (1...100_000).contains(count) else { throw CommandError.invalid("--hosts: from 1 to 100000") }
      return (1...count).map { "h\($0)" }
    case (nil, let path?):
      do { return try await Inventory.load(path: path, limit: nil).map(\.name) } catch {
        throw CommandError.invalid("\(error)")
      }
    case (_?, _?):
      throw CommandError.invalid("--hosts and --inventory exclude one another: leave one of the two out")
    case (nil, nil): throw CommandError.invalid("name the fleet: --hosts N or --inventory F")
    }
  }
}

/// What else goes wrong than the release.
enum Hardship: String, CaseIterable {
  case connectionLost = "connection-lost"
  case hostReboot = "host-reboot"
  case hostCut = "host-cut"
  case dependencyDown = "dependency-down"
  case controllerKilled = "controller-killed"

  private var kind: Faults.Kind {
    switch self {
    case .connectionLost: .connectionLost
    case .hostReboot: .hostReboot
    case .hostCut: .hostCut
    case .dependencyDown: .dependencyDown
    case .controllerKilled: .controllerKilled
    }
  }

  /// Takes in one `KIND=RATE`.
  static func add(_ text: String, to study: inout Study) throws {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    let known = (Study.Illness.allCases.map(\.rawValue) + allCases.map(\.rawValue)).joined(separator: ", ")
    guard parts.count == 2 else {
      throw CommandError.invalid("--fault \(escapedForTerminal(text)): write KIND=RATE; kinds: \(known)")
    }
    let permille = try rate(parts[1], in: text)
    if let illness = Study.Illness(rawValue: parts[0]) {
      guard study.illness == nil else {
        throw CommandError.invalid(
          "--fault \(escapedForTerminal(text)): a release suffers from one thing at a time")
      }
      study.illness = (illness, permille)
    } else if let hardship = Hardship(rawValue: parts[0]) {
      study.faults[hardship.kind] = permille
    } else {
      throw CommandError.invalid("--fault \(escapedForTerminal(text)): no such kind; there are \(known)")
    }
  }

  private static func rate(_ text: String, in whole: String) throws -> Int {
    guard text.hasSuffix("%"), let number = Double(text.dropLast()), (0...100).contains(number) else {
      throw CommandError.invalid(
        "--fault \(escapedForTerminal(whole)): RATE is a percentage from 0% to 100%, such as 5%")
    }
    return Int((number * 10).rounded())
  }
}
