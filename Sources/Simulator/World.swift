import RolloutModel

/// All that a simulation's parts share.
final class SimulatedWorld {
  let machinery = Machinery()
  var dice: Dice
  let faults: Faults
  let bugs: Set<PlantedBug>
  let judge: Judge
  var hosts: [SimulatedHost] = []
  /// What happened, for people; nil where nobody reads it.
  var trace: [String]?
  /// Whether faults may still strike.
  var isRaging = true
  /// What is done when a controller is to be killed.
  var onKill: (SimulatedController) -> Void = { _ in }
  /// Where the controller is killed, once.
  var killPoint: Simulation.KillPoint?
  /// Commits that the controllers began.
  var commits = 0
  /// What every release needs is down: old and new ones are sick alike.
  var isDependencyDown = false

  init(seed: UInt64, faults: Faults, bugs: Set<PlantedBug>, judge: Judge, isTraced: Bool) {
    dice = Dice(seed: seed)
    self.faults = faults
    self.bugs = bugs
    self.judge = judge
    trace = isTraced ? [] : nil
  }

  var now: Int64 { machinery.now }

  func note(_ text: @autoclosure () -> String) {
    guard trace != nil else { return }
    trace?.append("\(now) \(text())")
  }

  /// Whether a fault of this kind strikes now.
  func strikes(_ fault: Faults.Kind) -> Bool { isRaging && dice.permille(faults[fault]) }
}

/// How often each kind of fault strikes, in a thousand chances; 0 for those that this simulation leaves out.
public struct Faults: Sendable {
  /// What can go wrong.
  public enum Kind: Int, CaseIterable, Sendable {
    case connectionLost, connectionRefused, hostCut, hostReboot, programKilled, firewallFlush, firewallDrop,
      effectFails, requestTwice, controllerKilled, controllerStopped, commitFails, sideDies, dependencyDown,
      operatorActs, portTaken, diskFull, powerLost, hostPowerLost, hookFails
  }

  private var rates = [Int](repeating: 0, count: Kind.allCases.count)

  /// None.
  public init() {}

  /// Those that strike what all hosts share, and no host by itself.
  static let shared: Set<Kind> = [
    .dependencyDown, .controllerKilled, .controllerStopped, .commitFails, .powerLost, .hookFails,
  ]

  /// The kinds that may strike.
  public var kinds: [Kind] { Kind.allCases.filter { self[$0] > 0 } }

  /// The rate of a kind.
  public subscript(kind: Kind) -> Int {
    get { rates[kind.rawValue] }
    set { rates[kind.rawValue] = newValue }
  }

  /// A swarm's member: some kinds, each as hard as chance has it.
  static func swarm(_ dice: inout Dice) -> Faults {
    var faults = Faults()
    // Now and then nothing is wrong but what all share, so that it can be told whom it is blamed on.
    let isShared = dice.permille(80)
    // Whether hooks fail is decided where it is decided which there are.
    for kind in Kind.allCases where kind != .hookFails && dice.permille(350) {
      faults[kind] = [3, 10, 30, 100][Int(dice.number(0...3))]
    }
    if isShared {
      for kind in Kind.allCases where !shared.contains(kind) { faults[kind] = 0 }
      faults[.dependencyDown] = max(faults[.dependencyDown], 10)
    }
    return faults
  }
}
