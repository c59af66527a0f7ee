import RolloutModel
import Testing

@testable import RolloutEngine

/// Waves, batches and budgets.
@Suite struct WaveTests {
  @Test("A batch is never exceeded, and the next host starts when one is at its end")
  func batch() throws {
    var bench = try Bench(5, makePolicy([wave(everybody, batch: .count(2))]))
    bench.send(.started)
    #expect(bench.busy == [0, 1])
    try bench.promote(1)
    #expect(bench.busy == [0, 2])
    bench.fail(0, .precondition)
    #expect(bench.busy == [2, 3])
    try bench.bring(3, to: "gate")
    bench.fail(3, .gate)
    #expect(bench.busy == [2, 3], "a host that is being restored fills its place")
    bench.finish(3, .restored)
    #expect(bench.busy == [2, 4])
  }

  @Test("A rollout that was planned and not begun has no start, not even once it is aborted")
  func start() throws {
    var planned = try Bench(1, makePolicy([wave(everybody)]))
    #expect(planned.engine.snapshot().startedAt == nil)
    var begun = planned
    begun.send(.started)
    #expect(begun.engine.snapshot().startedAt == begun.now)
    planned.order(.abort)
    #expect(planned.state == .aborted)
    #expect(planned.engine.snapshot().startedAt == nil && planned.engine.snapshot().endedAt != nil)
  }

  @Test("A wave starts when the one before it is at its end, and not before")
  func order() throws {
    var bench = try Bench(6, makePolicy([wave(.count(2)), wave(.count(3)), wave(everybody)]))
    bench.send(.started)
    #expect(bench.busy == [0, 1])
    try bench.promote(0)
    try bench.bring(1, to: "promote")
    #expect(bench.busy == [1])
    try bench.succeed(1)
    #expect(bench.busy == [2])
    try bench.promote(2)
    #expect(bench.busy == [3, 4, 5])
    let states = bench.engine.snapshot().waves.map(\.state)
    #expect(states == [.done, .done, .running])
  }

  @Test("A wave that wants approval waits for it, each such wave anew")
  func approval() throws {
    var bench = try Bench(
      3, makePolicy([wave(.count(1), approve: true), wave(.count(2)), wave(everybody, approve: true)]))
    bench.send(.started)
    #expect(bench.state == .awaitingApproval && bench.rests == [.awaitingApproval] && bench.busy == [])
    bench.order(.resume)
    #expect(bench.state == .awaitingApproval && bench.busy == [])
    bench.order(.approve)
    #expect(bench.state == .running && bench.busy == [0])
    bench.order(.approve)
    try bench.promote(0)
    try bench.promote(1)
    #expect(bench.state == .awaitingApproval && bench.busy == [], "an approval too early is none")
    bench.order(.approve)
    try bench.promote(2)
    #expect(bench.busy == [0, 1, 2])
    for host in 0..<3 { try bench.succeed(host) }
    #expect(bench.state == .promoted)
  }

  @Test("A wave of which no host was promoted proves nothing: the next one waits for a person")
  func unproven() throws {
    var bench = try Bench(4, makePolicy([wave(.count(1)), wave(everybody)]))
    bench.send(.started)
    bench.fail(0, .host)
    #expect(bench.state == .paused && bench.busy == [])
    bench.order(.resume)
    #expect(bench.state == .running && bench.busy == [1, 2, 3])
  }

  @Test("A wave that a person left out needs no proof")
  func leftOut() throws {
    var bench = try Bench(2, makePolicy([wave(.count(1), approve: true), wave(everybody)]))
    bench.send(.started)
    bench.order(.skip([0]))
    bench.order(.approve)
    #expect(bench.busy == [1])
  }

  @Test("A person who goes on without proof, then tries the host again, is asked again when it fails again")
  func unprovenAgain() throws {
    var bench = try Bench(2, makePolicy([wave(.count(1)), wave(everybody)]))
    bench.send(.started)
    bench.fail(0, .host)
    bench.order(.retry([0]))
    bench.order(.resume)
    #expect(bench.busy == [0])
    bench.fail(0, .host)
    #expect(bench.state == .paused && bench.busy == [])
  }

  @Test("Hosts whose undo could not be proved fill the batch: no other is begun in their place")
  func stuck() throws {
    var bench = try Bench(4, makePolicy([wave(everybody, batch: .count(2))]))
    bench.send(.started)
    for host in 0..<2 {
      try bench.bring(host, to: "soak")
      bench.fail(host, .quarantined)
    }
    #expect(bench.busy == [] && bench.state == .paused)
    bench.order(.resume)
    #expect(bench.busy == [] && bench.state == .paused)
    bench.order(.retry([1]))
    bench.order(.resume)
    #expect(bench.busy == [1])
    #expect(bench.steps[1] == .reconcile, "a host that was given up while changed is asked how it stands")
  }

  @Test("A partial policy ends with its last wave; the rest of the fleet stays as it is")
  func partial() throws {
    var bench = try Bench(4, makePolicy([wave(.count(2))]))
    bench.send(.started)
    #expect(bench.busy == [0, 1])
    for host in 0..<2 { try bench.promote(host) }
    for host in 0..<2 { try bench.succeed(host) }
    #expect(bench.state == .promoted)
    let snapshot = bench.engine.snapshot()
    #expect(snapshot.counts.promoted == 2 && snapshot.counts.pending == 2)
    #expect(snapshot.hosts.map(\.wave) == ["w2", "w2", "", ""])
    bench.order(.retry([3]))
    bench.order(.skip([3]))
    #expect(bench.state == .promoted && bench.phase(3) == .pending)
  }

  @Test("A rollout of no hosts is done at once")
  func nobody() throws {
    var bench = try Bench(0, makePolicy([wave(everybody)]))
    bench.send(.started)
    #expect(bench.state == .promoted)
    bench.order(.skip([0]))
    bench.order(.retry([0, -1]))
    bench.order(.rollback)
    #expect(bench.state == .rolledBack)
  }

  // MARK: Budgets

  private func budget(canary: Int = 99, wave: Int = 99, fleet: Int = 99, unreachable: Int = 99) -> Budget {
    Budget(canary: .count(canary), wave: .count(wave), fleet: .count(fleet), unreachable: .count(unreachable))
  }

  @Test("A budget bears as many failures as it says, and one more breaches it", arguments: 0..<3)
  func boundary(borne: Int) throws {
    for (limits, waves) in [
      (budget(canary: borne), [wave(everybody)]), (budget(fleet: borne), [wave(everybody)]),
    ] {
      var bench = try Bench(8, makePolicy(waves, budget: limits, onBreach: .halt))
      bench.send(.started)
      for host in 0..<borne { bench.fail(host, .host) }
      #expect(bench.state == .running && bench.cancelled == [])
      bench.fail(borne, .host)
      #expect(bench.cancelled == Array((borne + 1)..<8), "the others are in their preflights")
      for host in (borne + 1)..<8 { bench.finish(host, .cancelled) }
      #expect(bench.state == .halted && bench.engine.counts.pending == 7 - borne)
    }
  }

  @Test("The canary's budget is the first wave's alone, and the waves' that of each later one")
  func budgetsByWave() throws {
    var bench = try Bench(
      9,
      makePolicy(
        [wave(.count(3)), wave(.count(6)), wave(everybody)], budget: budget(canary: 2, wave: 1),
        onBreach: .halt))
    bench.send(.started)
    for host in 0..<2 { bench.fail(host, .host) }
    try bench.promote(2)
    #expect(bench.busy == [3, 4, 5])
    bench.fail(3, .host)
    for host in 4..<6 { try bench.promote(host) }
    #expect(bench.state == .running && bench.busy == [6, 7, 8])
    bench.fail(6, .host)
    #expect(bench.cancelled == [])
    bench.fail(7, .host)
    #expect(bench.cancelled == [8])
    #expect(bench.engine.stateReason.hasPrefix("2 failed in wave"))
  }

  @Test("What is breached in the first wave is the canary's budget, whatever the wave's name")
  func namesBudget() throws {
    for (name, words) in [
      ("canary", "1 failed in wave canary, 0"), ("all", "1 failed in wave all (budget canary), 0"),
    ] {
      var only = wave(everybody)
      only.name = name
      var bench = try Bench(2, makePolicy([only], budget: budget(canary: 0), onBreach: .halt))
      bench.send(.started)
      bench.fail(0, .host)
      #expect(bench.engine.stateReason.hasPrefix(words))
    }
  }

  @Test("Shares of failures round down: 2 % of 49 hosts bears none, of 50 one")
  func shares() throws {
    for (count, borne) in [(49, 0), (50, 1), (99, 1), (100, 2)] {
      let limits = Budget(
        canary: .count(999), wave: .count(999), fleet: .share(basisPoints: 200), unreachable: .count(0))
      var bench = try Bench(count, makePolicy([wave(everybody)], budget: limits))
      bench.send(.started)
      for host in 0..<borne { bench.fail(host, .host) }
      #expect(bench.state == .running)
      bench.fail(borne, .host)
      #expect(bench.state == .rollingBack)
    }
  }

  @Test("Unreachable hosts have a budget of their own; breached, it halts and rolls nothing back")
  func unreachableBudget() throws {
    var bench = try Bench(
      6,
      makePolicy(
        [wave(everybody)], budget: budget(canary: 0, wave: 0, fleet: 0, unreachable: 1), onBreach: .rollback))
    bench.send(.started)
    try bench.promote(0)
    try bench.bring(1, to: "soak")
    for host in 2...3 {
      #expect(bench.state == .running)
      bench.fail(host, .unreachable)
      bench.fail(host, .unreachable)
    }
    #expect(bench.cancelled == [1, 4, 5], "what is in flight is undone")
    bench.finish(1, .cancelled)
    #expect(bench.steps[1]?.word == "restore")
    bench.finish(1, .restored)
    bench.finish(4, .cancelled)
    bench.finish(5, .cancelled)
    #expect(bench.steps[0] == .retain, "what is promoted stays")
    try bench.succeed(0)
    #expect(bench.state == .halted && bench.phase(0) == .promoted)
  }

  @Test(
    "A breach that rolls back restores every host that the rollout changed, and refuses the release there")
  func rollsBack() throws {
    var bench = try Bench(5, makePolicy([wave(everybody)], budget: budget(canary: 0), onBreach: .rollback))
    bench.send(.started)
    try bench.promote(0)
    bench.finish(1, .cleared(try clear(isLive: true)))
    try bench.bring(2, to: "soak")
    try bench.bring(3, to: "gate")
    bench.fail(3, .gate)
    #expect(bench.state == .rollingBack)
    #expect(bench.cancelled == [2, 4], "neither the promoted host nor the one that failed has a step to end")
    for host in [0, 3] {
      guard case .restore(refuse: true, _) = bench.steps[host] else {
        Issue.record("host \(host) is not restored")
        return
      }
    }
    bench.finish(2, .cancelled)
    bench.finish(4, .failed(StepFailure(.unreachable, "late")))
    for host in [0, 2, 3] { bench.finish(host, .restored) }
    #expect(bench.state == .rolledBack && bench.rests == [.rolledBack])
    #expect((0..<5).map(bench.phase) == [.restored, .promoted, .restored, .restored, .pending])
  }

  @Test(
    "A rollback that leaves a host quarantined or lost is incomplete",
    arguments: [
      StepFailure.Kind.quarantined, .lost, .host,
    ])
  func incomplete(kind: StepFailure.Kind) throws {
    var bench = try Bench.started(2)
    try bench.promote(0)
    bench.order(.rollback)
    bench.finish(1, .cancelled)
    for _ in 0..<20 where bench.steps[0] != nil {
      bench.fail(0, kind)
      bench.now += RolloutEngine.longestSilence.milliseconds / 4
    }
    #expect(bench.state == .rollbackIncomplete)
  }

  @Test(
    "No host starts once a budget is breached, whatever a person says but retry",
    arguments: [
      Order.Verb.resume, .approve, .pause, .abort, .skip([5]),
    ])
  func breached(verb: Order.Verb) throws {
    var bench = try Bench(
      6, makePolicy([wave(.count(2)), wave(everybody)], budget: budget(canary: 0), onBreach: .halt))
    bench.send(.started)
    bench.fail(0, .host)
    bench.order(verb)
    bench.finish(1, .cancelled)
    bench.order(verb)
    #expect(bench.state == .halted && bench.busy == [])
  }

  @Test("A host is charged once, however often it fails")
  func chargedOnce() throws {
    var bench = try Bench.started(3)
    try bench.bring(0, to: "gate")
    bench.fail(0, .gate)
    for _ in 0..<RolloutEngine.mostRestores { bench.fail(0, .host) }
    #expect(bench.phase(0) == .quarantined && bench.engine.failures == 1)
  }
}
