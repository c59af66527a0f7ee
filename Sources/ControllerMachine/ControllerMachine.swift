import RolloutModel

/// The order of things on the controller: an event and the intents it leads to are durable before any of them is acted on.
/// Events that arrive during a commit share the next one, and so do news of playbooks, which keep their place among the events.
public struct ControllerMachine<Engine: Decider>: Sendable {
  /// What happens to the machine.
  public enum Input: Sendable {
    /// Something happened in the rollout.
    case event(StampedEvent)
    /// A playbook did something, which is written down and leads to nothing.
    case news(PlaybookNews)
    /// The commit that was asked for is durable.
    case committed
    /// The commit failed: nothing of it may be acted on.
    case commitFailed(String)
  }

  /// What the next commit has.
  private enum Queued: Sendable {
    case event(StampedEvent)
    case news(PlaybookNews)
  }

  /// What the driver is to do, in order.
  public enum Action: Sendable {
    /// Append these entries in one durable commit, then say so.
    case commit([JournalEntry])
    /// Do this.
    case perform([RolloutEffect])
    /// The journal can't be written: start nothing more, and say why.
    case stop(String)
  }

  /// The machine that decides. Ahead of the journal while a commit is under way.
  public private(set) var engine: Engine
  private var queue: [Queued] = []
  private var waiting: [RolloutEffect] = []
  private var isCommitting = false
  private var isStopped = false

  /// A machine around an engine whose past is in the journal already.
  public init(engine: Engine) { self.engine = engine }

  /// How many events and news wait for the commit under way to end.
  public var backlog: Int { queue.count }

  /// Whether nothing is queued or being committed.
  public var isQuiet: Bool { queue.isEmpty && !isCommitting }

  /// Takes in what happened and says what to do.
  public mutating func handle(_ input: Input) -> [Action] {
    guard !isStopped else { return [] }
    switch input {
    case .event(let event): return add(.event(event))
    case .news(let news): return add(.news(news))
    case .committed:
      isCommitting = false
      let effects = waiting
      waiting = []
      let perform: [Action] = effects.isEmpty ? [] : [.perform(effects)]
      return queue.isEmpty ? perform : perform + [beginCommit()]
    case .commitFailed(let why):
      isStopped = true
      queue = []
      waiting = []
      return [.stop(why)]
    }
  }

  private mutating func add(_ queued: Queued) -> [Action] {
    queue.append(queued)
    return isCommitting ? [] : [beginCommit()]
  }

  private mutating func beginCommit() -> Action {
    var entries: [JournalEntry] = []
    for queued in queue {
      switch queued {
      case .event(let event):
        entries.append(.event(event))
        let effects = engine.handle(event)
        entries += effects.map(JournalEntry.intent)
        waiting += effects
      case .news(let news): entries.append(.playbook(news))
      }
    }
    queue = []
    isCommitting = true
    return .commit(entries)
  }
}

/// Brings an engine to where its journal ends.
public struct JournalReplay<Engine: Decider>: Sendable {
  /// Why a journal can't be replayed.
  public enum Fault: Error, Hashable, Sendable {
    /// The record is not what the engine made of the events before it.
    case differs(sequence: Int64)
    /// A record stands where it can't.
    case misplaced(sequence: Int64)
  }

  /// The engine, as far as it was brought.
  public private(set) var engine: Engine
  private var expected: ArraySlice<RolloutEffect> = []

  /// A replay from the beginning.
  public init(engine: Engine) { self.engine = engine }

  /// Takes in the next record. Intents that follow an event must be the ones that the engine now decides.
  public mutating func take(_ record: JournalRecord) throws(Fault) {
    switch record.entry {
    case .plan: throw .misplaced(sequence: record.sequence)
    case .event(let event):
      guard expected.isEmpty else { throw .differs(sequence: record.sequence) }
      expected = engine.handle(event)[...]
    case .intent(let effect):
      guard expected.popFirst() == effect else { throw .differs(sequence: record.sequence) }
    case .playbook:
      // Between an event and what it led to nothing is written.
      guard expected.isEmpty else { throw .differs(sequence: record.sequence) }
    }
  }
}
