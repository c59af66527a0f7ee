import Glibc
import HostMachine
import RolloutModel

/// Carries out operations on one agent: the record is read, the machine asked, its effects executed in order and their
/// outcomes told to it, until it answers. All of it under the agent's lock.
package struct AgentDriver {
  /// The agent.
  package let agent: AgentName
  private let folder: String
  private let hands: any Hands

  /// How much damage an operation bears.
  package enum Care: Sendable {
    /// None: a damaged state ends it.
    case strict
    /// It rescues, so it goes on from what the state was before the last writing, where need be.
    case rescue
  }

  /// No operation takes more steps than this; one that does has a fault.
  private static let longest = 200

  /// A driver for the agent whose state is in this folder.
  package init(agent: AgentName, folder: String, hands: any Hands) {
    self.agent = agent
    self.folder = folder
    self.hands = hands
  }

  /// Carries one operation out. `lockWithin` is how long other operations are waited for.
  package func carryOut(
    _ order: AgentOrder, care: Care = .strict, lockWithin: Span = .seconds(60)
  ) throws(HostFailure) -> AgentAnswer {
    let asked = try hands.now()
    if case .acquire = order { return try acquire(order, care, lockWithin) }
    let lock: AgentLock
    do throws(HostFailure) {
      lock = try AgentLock(folder: folder, within: lockWithin)
    } catch  where error.code == .notFound {
      // Nothing is known of the agent, and nothing is made to learn that.
      guard order == .remove else {
        return try drive(HostMachine(agent: agent, record: nil, now: asked), order)
      }
      // Closing its door takes long: who begins with it meanwhile must wait.
      _ = try FileTree.makeFolder(folder)
      lock = try AgentLock(folder: folder, within: lockWithin)
    }
    defer { withExtendedLifetime(lock) {} }
    let now = try hands.now()
    // Asked under the lock: the wait for it may have been long.
    if order.waitsForNextBoot, hands.isShuttingDown() {
      // What is due stays due.
      return order == .tick ? .done : .failed(.hostIsShuttingDown)
    }
    let aged = order.later(by: now.moment.since(asked.moment))
    let answer: AgentAnswer
    do {
      answer = try drive(HostMachine(agent: agent, record: try load(care), now: now), aged)
    } catch {
      if order == .remove { removeIfUnused() }
      throw error
    }
    // What was made for the lock alone goes again; once all is removed the folder may be another one's.
    if order == .remove, case .failed = answer { removeIfUnused() }
    return answer
  }

  /// The first lease makes the agent's folder; where it's refused, the folder goes again.
  private func acquire(
    _ order: AgentOrder, _ care: Care, _ lockWithin: Span
  ) throws(HostFailure) -> AgentAnswer {
    let limit = Deadline(in: lockWithin)
    while true {
      let isNew = access(folder, F_OK) != 0
      _ = try FileTree.makeFolder(folder)
      let lock: AgentLock
      do throws(HostFailure) {
        lock = try AgentLock(folder: folder, within: limit.remaining)
      } catch  where error.code == .notFound && !limit.passed {
        // Removed by whoever held it: once more.
        continue
      }
      defer { withExtendedLifetime(lock) {} }
      let answer: AgentAnswer
      do throws(HostFailure) {
        answer = try drive(HostMachine(agent: agent, record: try load(care), now: try hands.now()), order)
      } catch {
        if isNew { removeIfUnused() }
        throw error
      }
      if isNew, case .failed = answer { removeIfUnused() }
      return answer
    }
  }

  /// Under the lock. A folder that can't be removed does no harm, and why the lease was refused is what counts.
  private func removeIfUnused() {
    guard case .absent = StateFile(folder: folder).read() else { return }
    for name in ["state.before", "traffic.lock", "lock"] { _ = unlink("\(folder)/\(name)") }
    _ = rmdir(folder)
  }

  /// The record as it is on disk; nil where the agent is not known.
  package func load(_ care: Care) throws(HostFailure) -> AgentRecord? {
    switch StateFile(folder: folder).read() {
    case .absent: return nil
    case .whole(let record): return record
    case .damaged(let failure, let before):
      guard care == .rescue, failure.code != .unsupported, let before else { throw failure }
      return before
    }
  }

  private func drive(_ fresh: HostMachine, _ order: AgentOrder) throws(HostFailure) -> AgentAnswer {
    var machine = fresh
    var event = HostEvent.order(order)
    for _ in 0..<AgentDriver.longest {
      let effects = machine.handle(event, at: try hands.now())
      if case .reply(let answer)? = effects.last, effects.count == 1 { return answer }
      let outcome = carryOut(effects, machine.record)
      switch outcome {
      case .over(let answer): return answer
      case .goesOn(let next): event = next
      }
    }
    throw HostFailure(.system, "an operation on agent \(agent) did not come to its end")
  }

  private enum BatchEnd {
    case over(AgentAnswer)
    case goesOn(HostEvent)
  }

  private func carryOut(_ effects: [HostEffect], _ record: AgentRecord?) -> BatchEnd {
    var traffic: AgentLock?
    defer { withExtendedLifetime(traffic) {} }
    if effects.contains(where: { if case .moveTraffic = $0 { true } else { false } }) {
      // The guard, which may not wait for the agent's own lock, sees record and traffic before this or after it.
      do throws(HostFailure) { traffic = try AgentLock(trafficOf: folder, within: .seconds(30)) } catch {
        return .goesOn(.notRecorded(error))
      }
    }
    var outcome = EffectOutcome.done
    for effect in effects {
      switch effect {
      case .reply(let answer): return .over(answer)
      case .persist(let record):
        do throws(HostFailure) { try StateFile(folder: folder).write(record) } catch {
          return .goesOn(.notRecorded(error))
        }
      default:
        do throws(HostFailure) { outcome = try execute(effect, record) } catch {
          return .goesOn(.failed(error))
        }
      }
    }
    return .goesOn(.outcome(outcome))
  }

  private func execute(_ effect: HostEffect, _ record: AgentRecord?) throws(HostFailure) -> EffectOutcome {
    if effect == .removeState {
      try hands.removeState(of: agent)
      return .done
    }
    if effect == .closeAgentDoor {
      if record == nil { try hands.requireUnserved(agent) }
      try hands.closeAgentDoor()
      return .done
    }
    guard let record else { throw HostFailure(.notFound, "nothing is known of agent \(agent) on this host") }
    return try hands.execute(effect, record)
  }
}

extension AgentOrder {
  /// A gate has grown older while the lock was waited for.
  fileprivate func later(by span: Span) -> AgentOrder {
    guard case .flip(let key, var order) = self else { return self }
    order.gateAge = Span(milliseconds: order.gateAge.milliseconds + span.milliseconds)
    return .flip(key, order)
  }
}

extension HostFailure {
  /// What is asked of a host that goes down is not begun.
  static var hostIsShuttingDown: HostFailure {
    HostFailure(.shuttingDown, "the host is shutting down", hint: "it is asked again once it is back")
  }
}
