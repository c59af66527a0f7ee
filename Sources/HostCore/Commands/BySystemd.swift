import HostMachine
import RolloutModel
import SystemdBus

/// The verbs that timers and units call.
extension HostProgram {
  static func tick(_ name: String) throws(HostFailure) -> Exit {
    let agent = try agent(name)
    let hands = try HostHands()
    let driver = AgentDriver(agent: agent, folder: hands.files.state(of: agent), hands: hands)
    return exit(try driver.carryOut(.tick, care: .rescue))
  }

  /// Runs inside the stopping of the slot's unit, which goes on only when this has ended. So it takes the lock only for a
  /// unit in probation, which no operation stops while it holds the lock, and not for long.
  static func stopped(
    _ name: String, _ slotName: String, _ environment: [String: String]
  ) throws(HostFailure) -> Exit {
    let agent = try agent(name)
    guard let slot = Slot(rawValue: slotName) else {
      return misuse("\(escapedForTerminal(slotName)) is no slot")
    }
    let hands = try HostHands()
    let driver = AgentDriver(agent: agent, folder: hands.files.state(of: agent), hands: hands)
    guard let record = try driver.load(.rescue), record.owner == Side(slot),
      record.inProbation || record.flip?.phase == .reverting
    else { return .done }
    if hands.isShuttingDown() { return .done }
    let how = [environment["SERVICE_RESULT"], environment["EXIT_CODE"], environment["EXIT_STATUS"]]
      .compactMap { $0 }.joined(separator: " ")
    let order = AgentOrder.stopped(slot, invocation: environment["INVOCATION_ID"] ?? "", how: how)
    do throws(HostFailure) {
      return exit(try driver.carryOut(order, care: .rescue, lockWithin: .seconds(2)))
    } catch  where error.code == .deadline {
      // Whoever holds the lock may be waiting for this very unit: out of the way, and look again.
      let timer = TickTimer(agent: agent, program: hands.files.program, bus: try hands.bus())
      try timer.arm(HostClock.now() + Span(milliseconds: 200))
      return .done
    }
  }

  private static func exit(_ answer: AgentAnswer) -> Exit {
    guard case .failed(let failure) = answer else { return .done }
    complain(failure)
    return .failed
  }
}

/// The agents that are known on a host.
func knownAgents(_ files: HostFiles) throws(HostFailure) -> [AgentName] {
  do throws(HostFailure) {
    return try FileTree.names(in: try FileTree.openFolder(files.states)).compactMap { AgentName($0) }
  } catch  where error.code == .notFound {
    return []
  }
}

/// Puts agents in order after a boot: every one, or the one that is named.
struct RestoreAtBoot {
  let hands: HostHands
  var only: AgentName?

  /// One agent that can't be put in order does not keep the others from it.
  func run() throws(HostFailure) -> HostProgram.Exit {
    var exit = HostProgram.Exit.done
    let agents = if let only { [only] } else { try knownAgents(hands.files) }
    for agent in agents {
      do throws(HostFailure) {
        let driver = AgentDriver(agent: agent, folder: hands.files.state(of: agent), hands: hands)
        if case .failed(let failure) = try driver.carryOut(.boot, care: .rescue) { throw failure }
      } catch {
        HostProgram.complain(error)
        exit = .failed
      }
    }
    return exit
  }
}
