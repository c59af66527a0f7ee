import RolloutEngine
import RolloutModel
import Testing

@testable import Simulator

@Suite("Recorded rollouts, held to the promises")
struct HistoryTests {
  /// A rollout over one host that has begun, is paused, and ends the host's preflight.
  private func records() throws -> [JournalRecord] {
    let policy = Policy(
      name: "p",
      waves: [WaveDefinition(name: "w", hosts: .count(1), batch: .count(1), soak: .zero, approve: false)],
      gate: Gate(successes: 1, interval: .seconds(1), timeout: .seconds(1), deadline: .seconds(9)),
      budget: Budget(canary: .count(0), wave: .count(0), fleet: .count(0), unreachable: .count(0)),
      onBreach: .halt, confirmWithin: .seconds(9), keepOld: Retention(running: .zero, installed: .zero),
      partial: true, soakTolerance: 0)
    let study = Study(policy: policy, hosts: ["h1", "h2"], illness: nil, faults: Faults())
    let plan = try Scene.of(study).plan
    var engine = RolloutEngine(plan: plan)
    var entries: [JournalEntry] = [.plan(plan)]
    let failure = StepFailure(.unreachable, "no way")
    let events: [RolloutEvent] = [
      .started, .order(Order(.pause, reason: "", by: "somebody")),
      .step(host: 0, attempt: 1, .failed(failure)),
    ]
    for (number, event) in events.enumerated() {
      let stamped = StampedEvent(
        event, at: Moment(milliseconds: Int64(number) * 1000), wall: 0, chance: UInt64(number))
      entries.append(.event(stamped))
      entries += engine.handle(stamped).map(JournalEntry.intent)
    }
    return entries.enumerated().map { JournalRecord(sequence: Int64($0 + 1), wall: 0, entry: $1) }
  }

  @Test("A sound history breaks nothing")
  func sound() throws { #expect(try History.breaches(in: try records()).isEmpty) }

  @Test("A record that the events did not lead to is named")
  func tampered() throws {
    var records = try records()
    let place = try #require(records.lastIndex { if case .intent = $0.entry { true } else { false } })
    records[place].entry = .intent(.cancel(host: 0))
    let breach = try #require(try History.breaches(in: records).first)
    #expect(breach.promise == .replay && breach.what.contains("record \(records[place].sequence)"))
  }

  @Test("What does not begin with a plan is no history")
  func planless() throws {
    let records = Array(try records().dropFirst())
    #expect(throws: History.Unreadable.self) { try History.breaches(in: records) }
  }
}
