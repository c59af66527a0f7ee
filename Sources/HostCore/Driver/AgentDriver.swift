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
    if case .acquire = order { _ = try FileTree.makeFolder(folder) }
    let lock: AgentLock
    do throws(HostFailure) {
      lock = try AgentLock(folder: folder, within: lockWithin)
    } catch  where error.code == .notFound {
      // Nothing is known of the agent, and nothing is made to learn that.
      return try drive(HostMachine(agent: agent, record: nil, now: try hands.now()), order)
    }
    defer { withExtendedLifetime(lock) {} }
    return try drive(HostMachine(agent: agent, record: try load(care), now: try hands.now()), order)
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
      event = .outcome(.done)
      do throws(HostFailure) {
        for effect in effects {
          switch effect {
          case .reply(let answer): return answer
          case .persist(let record): try StateFile(folder: folder).write(record)
          default: event = .outcome(try execute(effect, machine.record))
          }
        }
      } catch {
        event = .failed(error)
      }
    }
    throw HostFailure(.system, "an operation on agent \(agent) did not come to its end")
  }

  private func execute(_ effect: HostEffect, _ record: AgentRecord?) throws(HostFailure) -> EffectOutcome {
    guard let record else { throw HostFailure(.notFound, "nothing is known of agent \(agent) on this host") }
    return try hands.execute(effect, record)
  }
}
