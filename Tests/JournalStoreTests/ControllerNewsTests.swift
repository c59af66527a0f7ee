import HostSteps
import Ports
import RolloutEngine
import RolloutModel
import Synchronization
import Testing

@testable import Controller

/// A controller whose one playbook tells far more than the journal takes at a time.
@Suite("A controller with a talkative playbook")
struct ControllerNewsTests {
  /// A journal that takes a commit only when it is told to.
  private actor HeldJournal: Journal {
    private(set) var entries: [JournalEntry] = []
    private var isOpen = false
    private var isBroken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func append(_ more: [JournalEntry], to rollout: String, wall: Int64) async throws(JournalError) {
      // What comes before the playbook is let through.
      let isNews = more.contains { if case .playbook = $0 { true } else { false } }
      if isNews, !isOpen { await withCheckedContinuation { waiting.append($0) } }
      if isBroken { throw JournalError("the disk is full", hint: "free space") }
      entries += more
    }

    /// Lets the commit under way and all others through, or breaks them.
    func open(broken: Bool) {
      (isOpen, isBroken) = (true, broken)
      for one in waiting { one.resume() }
      waiting = []
    }
  }

  private final class TalkativeHook: HookRunner {
    static let results = 5000
    let told = Mutex(0)

    func run(
      _ playbook: PlannedPlaybook, on hosts: [Host], variables: [String: PlaybookValue],
      tell: @escaping @Sendable (PlaybookEvent) async -> Void
    ) async -> HookOutcome {
      for number in 0..<Self.results {
        // Each of another host, so that none is over its bound.
        await tell(
          .result(
            PlaybookTaskResult(
              host: "h\(number)", task: PlaybookTask(name: "Check", play: "p"), outcome: .changed,
              message: "")))
        told.withLock { $0 += 1 }
      }
      return .failed(reason: "as asked", hint: "")
    }
  }

  private struct Nowhere: Doors, Prober {
    func channel(to host: Host) -> any HostChannel { preconditionFailure("no host is asked") }
    func sample(_ request: ProbeRequest) async -> Sample { Sample(outcome: .unhealthy("none"), took: .zero) }
  }

  private struct Silent: RunLog, Timekeeper {
    func write(_ line: RunLogLine) {}
    var now: Moment { Moment(milliseconds: 1) }
    var wall: Int64 { 1 }
    var chance: UInt64 { 1 }
    func sleep(_ span: Span) async throws {}
  }

  private let journal = HeldJournal()
  private let hook = TalkativeHook()

  private func makeController() throws -> RolloutController {
    var plan = try makePlan("r")
    plan.policy.hooks = WaveHooks(
      beforeWave: PlannedPlaybook(project: "/srv", playbook: "hook.yml", digest: nil), afterWave: nil)
    return RolloutController(
      engine: RolloutEngine(plan: plan),
      world: World(
        doors: Nowhere(), prober: Nowhere(), journal: journal, time: Silent(), log: Silent(), hooks: hook),
      identity: ControllerIdentity(id: "c", holder: "t", purpose: "r", takesOver: false), news: { _ in })
  }

  /// Waits until the playbook says nothing more, and returns how much it has said.
  private func standstill() async throws -> Int {
    var before = -1
    var same = 0
    for _ in 0..<400 {
      try await Task.sleep(for: .milliseconds(50))
      let now = hook.told.withLock { $0 }
      same = now == before && now > 0 ? same + 1 : 0
      if same == 20 { return now }
      before = now
    }
    Issue.record("the playbook never comes to a standstill")
    return before
  }

  @Test(
    "It lets the playbook wait while the journal is behind, loses nothing, and has all of it before the playbook's end"
  )
  func waits() async throws {
    let controller = try makeController()
    async let end = controller.run([.started])
    let told = try await standstill()
    #expect((500...600).contains(told), "\(told) of \(TalkativeHook.results)")
    await journal.open(broken: false)
    #expect(try await end == .paused)
    let entries = await journal.entries
    let news = entries.indices.filter { if case .playbook = entries[$0] { true } else { false } }
    #expect(news.count == TalkativeHook.results)
    let ended = try #require(
      entries.firstIndex {
        if case .event(let stamped) = $0, case .hook = stamped.event { true } else { false }
      })
    #expect(news.allSatisfy { $0 < ended })
  }

  @Test("A journal that breaks meanwhile ends the rollout, and lets the playbook go")
  func breaks() async throws {
    let controller = try makeController()
    async let end = controller.run([.started])
    _ = try await standstill()
    await journal.open(broken: true)
    do {
      _ = try await end
      Issue.record("it has not ended")
    } catch { #expect("\(error)".contains("the disk is full")) }
    #expect(hook.told.withLock { $0 } == TalkativeHook.results, "nobody waits for a journal that is gone")
  }
}
