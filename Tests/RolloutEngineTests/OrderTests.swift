import RolloutModel
import Testing

@testable import RolloutEngine

/// What a person's word does, and what it must not do.
@Suite struct OrderTests {
  @Test("A pause stops starts and nothing else; resume goes on")
  func pause() throws {
    var bench = try Bench(4, makePolicy([wave(everybody, batch: .count(2))]))
    bench.send(.started)
    bench.order(.pause)
    #expect(bench.state == .paused && bench.rests == [.paused] && bench.cancelled == [])
    #expect(bench.engine.stateReason == "paused by somebody: because")
    #expect(!bench.engine.isAtRest, "two hosts are in flight")
    try bench.promote(0)
    try bench.promote(1)
    #expect(bench.busy == [] && bench.engine.isAtRest)
    bench.order(.pause)
    #expect(bench.rests == [])
    bench.order(.resume)
    #expect(bench.state == .running && bench.busy == [2, 3] && bench.engine.stateReason == "")
  }

  @Test("A pause while a wave waits for approval ends at that wait again")
  func pauseAtApproval() throws {
    var bench = try Bench(1, makePolicy([wave(everybody, approve: true)]))
    bench.send(.started)
    bench.order(.pause)
    #expect(bench.state == .paused)
    bench.order(.approve)
    #expect(bench.state == .paused && bench.busy == [])
    bench.order(.resume)
    #expect(bench.state == .awaitingApproval && bench.busy == [])
  }

  @Test("An abort undoes what is in flight, leaves what is promoted, and blames no release")
  func abort() throws {
    var bench = try Bench(4, makePolicy([wave(everybody, batch: .count(3))]))
    bench.send(.started)
    try bench.promote(0)
    try bench.bring(1, to: "flip")
    bench.order(.abort)
    #expect(bench.cancelled == [1, 2, 3])
    bench.finish(1, .flipped)
    #expect(bench.steps[1] == .restore(refuse: false, reason: "aborted by somebody: because"))
    bench.finish(2, .cancelled)
    bench.finish(3, .cancelled)
    bench.finish(1, .restored)
    try bench.succeed(0)
    #expect(bench.state == .aborted)
    #expect((0..<4).map(bench.phase) == [.promoted, .restored, .pending, .pending])
  }

  @Test("A gate that fails while its host is being called back is a verdict on the release all the same")
  func failsInAbort() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "soak")
    bench.order(.abort)
    bench.fail(0, .gate)
    guard case .restore(refuse: true, _) = bench.steps[0] else {
      Issue.record("\(String(describing: bench.steps[0]))")
      return
    }
  }

  @Test(
    "An abort finds a host at any step, and leaves nothing of the rollout on it",
    arguments: ["preflight", "stage", "start", "gate", "flip", "prove", "confirm", "soak", "promote"])
  func abortAnywhere(word: String) throws {
    for outcome in [
      StepOutcome.cancelled, .failed(StepFailure(.lost, "")), .failed(StepFailure(.host, "")), nil,
    ] {
      var bench = try Bench.started()
      try bench.bring(0, to: word)
      bench.order(.abort)
      #expect(bench.cancelled == [0])
      if let outcome { bench.finish(0, outcome) } else { try bench.succeed(0) }
      if word == "preflight" {
        #expect(bench.phase(0) == .pending)
      } else {
        #expect(bench.steps[0]?.word == "restore")
        bench.finish(0, .restored)
        #expect(bench.phase(0) == .restored)
      }
      #expect(bench.state == .aborted)
    }
  }

  @Test(
    "A host that was changed and waits to be begun anew is undone by a stop",
    arguments: [
      Order.Verb.abort, .rollback,
    ])
  func pendingButChanged(verb: Order.Verb) throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "stage")
    bench.fail(0, .shared)
    #expect(bench.phase(0) == .pending)
    bench.order(verb)
    #expect(bench.steps[0]?.word == "restore")
    bench.finish(0, .restored)
    #expect(bench.phase(0) == .restored && bench.state.isEnd)
  }

  @Test("A rollback is there in every state, also during a pause and after the end")
  func rollbackAnywhere() throws {
    for prepare: (inout Bench) throws -> Void in [
      { _ in }, { $0.order(.pause) }, { $0.order(.abort) },
      { bench in
        try bench.promote(1)
        for host in 0..<2 { try bench.succeed(host) }
        #expect(bench.state == .promoted)
      },
      { bench in
        bench.order(.abort)
        bench.finish(1, .cancelled)
        try bench.succeed(0)
        #expect(bench.state == .aborted)
      },
    ] {
      var bench = try Bench.started(2)
      try bench.promote(0)
      try prepare(&bench)
      bench.order(.rollback)
      #expect(bench.state == .rollingBack)
      for _ in 0..<4 {
        for host in bench.busy {
          if bench.cancelled.contains(host) || bench.steps[host]?.word == "preflight" {
            bench.finish(host, .cancelled)
          } else {
            try bench.succeed(host)
          }
        }
      }
      #expect(bench.state == .rolledBack && bench.phase(0) == .restored)
      bench.order(.rollback)
      #expect(bench.state == .rolledBack && bench.rests == [])
    }
  }

  @Test("A host that is lost in the rollout is sought once more by a rollback")
  func rollbackOfLost() throws {
    var bench = try Bench.started(2)
    try bench.bring(0, to: "soak")
    bench.lose(0)
    #expect(bench.phase(0) == .unreachable)
    bench.order(.rollback)
    #expect(bench.steps[0]?.word == "restore")
    bench.finish(1, .cancelled)
    bench.finish(0, .restored)
    #expect(bench.state == .rolledBack)
  }

  @Test("A host whose undo could not be proved is tried once more by a person's rollback, and only by that")
  func rollbackOfQuarantined() throws {
    var bench = try Bench.started(2)
    try bench.bring(0, to: "soak")
    bench.fail(0, .quarantined)
    try bench.promote(1)
    try bench.succeed(1)
    #expect(bench.phase(0) == .quarantined && bench.busy == [])
    bench.order(.rollback)
    #expect(bench.steps[0]?.word == "restore")
    bench.fail(0, .quarantined)
    bench.finish(1, .restored)
    #expect(bench.state == .rollbackIncomplete)
    bench.order(.rollback)
    #expect(bench.busy == [0])
    bench.finish(0, .restored)
    #expect(bench.state == .rolledBack && (0..<2).map(bench.phase) == [.restored, .restored])
  }

  @Test("What can't be skipped or tried again is said, and what can be is not refused")
  func obstacles() throws {
    var bench = try Bench.started(2)
    try bench.promote(0)
    #expect(bench.engine.obstacle(to: .skip([0, 1])) == nil && bench.engine.obstacle(to: .retry([0])) == nil)
    #expect(bench.engine.obstacle(to: .skip([0]), host: 0) != nil)
    #expect(bench.engine.obstacle(to: .skip([1]), host: 1) == nil)
    #expect(bench.engine.obstacle(to: .retry([0]), host: 0) != nil)
    bench.order(.skip([1]))
    bench.finish(1, .cancelled)
    #expect(bench.engine.obstacle(to: .retry([1]), host: 1) == nil)
    try bench.succeed(0)
    #expect(bench.state == .promotedWithExceptions)
    #expect(bench.engine.obstacle(to: .retry([1])) == nil && bench.engine.obstacle(to: .skip([1])) != nil)
    bench.order(.rollback)
    #expect(bench.engine.obstacle(to: .retry([1])) != nil)
  }

  @Test("A rollback during retention waits for its step, then undoes the host")
  func rollbackInRetention() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "retain")
    bench.order(.rollback)
    #expect(bench.cancelled == [0])
    bench.fail(0, .lost)
    #expect(bench.steps[0]?.word == "restore", "an undo does not wait for retention to be tried again")
  }

  @Test("Skip leaves out hosts that wait, have failed or are on their way, and no others")
  func skip() throws {
    var bench = try Bench(6, makePolicy([wave(everybody, batch: .count(4))]))
    bench.send(.started)
    try bench.promote(0)
    bench.fail(1, .host)
    try bench.bring(2, to: "gate")
    #expect(bench.busy == [2, 3, 4, 5])
    bench.order(.skip([0, 1, 2, 3, 2, 99, -1]))
    #expect(bench.phase(0) == .promoted && bench.phase(1) == .skipped)
    #expect(bench.engine.failures == 0, "a failure that is left out is not counted any more")
    #expect(bench.cancelled.contains(2) && bench.cancelled.contains(3))
    bench.finish(3, .cancelled)
    #expect(bench.phase(3) == .skipped)
    bench.finish(2, .cancelled)
    #expect(bench.steps[2]?.word == "restore")
    bench.finish(2, .restored)
    #expect(bench.phase(2) == .skipped && bench.reason(2) == "skipped by somebody: because")
  }

  @Test("Skip changes nothing once the rollout stops or has ended")
  func skipLate() throws {
    var bench = try Bench.started(2)
    try bench.bring(0, to: "soak")
    bench.order(.rollback)
    bench.order(.skip([0, 1]))
    #expect(bench.cancelled == [])
    bench.finish(0, .cancelled)
    guard case .restore(refuse: true, _) = bench.steps[0] else {
      Issue.record("the rollback was weakened")
      return
    }
    bench.finish(1, .cancelled)
    bench.finish(0, .restored)
    bench.order(.skip([0, 1]))
    #expect(bench.phase(0) == .restored && bench.phase(1) == .pending)
  }

  @Test("Retry begins a host anew: with leave for a refused release, and without its old failure")
  func retry() throws {
    var bench = try Bench(3, makePolicy([wave(everybody, batch: .count(1))]))
    bench.send(.started)
    try bench.bring(0, to: "gate")
    bench.fail(0, .gate)
    bench.finish(0, .restored)
    #expect(bench.engine.failures == 1 && bench.busy == [1])
    bench.order(.retry([0, 0]))
    #expect(bench.phase(0) == .pending && bench.engine.failures == 0)
    try bench.promote(1)
    #expect(bench.busy == [0], "before hosts that were never begun")
    #expect(bench.engine.hosts[0].known.again)
    try bench.succeed(0)
    #expect(bench.steps[0] == .stage(again: true))
    try bench.promote(0)
    #expect(bench.busy == [2])
  }

  @Test("Retry of hosts that have not failed does nothing, in no state")
  func retryNothing() throws {
    var bench = try Bench(
      3,
      makePolicy(
        [wave(.count(1)), wave(everybody)],
        budget: Budget(
          canary: .count(0), wave: .count(0), fleet: .count(0), unreachable: .count(0)), onBreach: .halt))
    bench.send(.started)
    bench.order(.retry([0, 1, 2]))
    #expect(bench.busy == [0])
    bench.fail(0, .host)
    #expect(bench.state == .halted)
    for hosts in [[], [1, 2], [-1, 7]] {
      bench.order(.retry(hosts))
      #expect(bench.state == .halted && bench.busy == [] && bench.rests == [])
    }
    bench.order(.retry([0]))
    #expect(bench.state == .running && bench.busy == [0])
  }

  @Test("A halted rollout goes on only when no budget is breached any more")
  func retryHalted() throws {
    var bench = try Bench(
      4,
      makePolicy(
        [wave(everybody)],
        budget: Budget(
          canary: .count(0), wave: .count(0), fleet: .count(0), unreachable: .count(0)), onBreach: .halt))
    bench.send(.started)
    try bench.bring(0, to: "gate")
    try bench.bring(1, to: "gate")
    bench.fail(0, .gate)
    bench.fail(2, .host)
    for host in [1, 3] { bench.finish(host, .cancelled) }
    bench.finish(1, .restored)
    bench.fail(0, .quarantined)
    #expect(bench.state == .halted)
    let failed = bench.engine.failures
    bench.order(.retry([2]))
    #expect(bench.state == .halted && bench.busy == [])
    #expect(bench.engine.failures == failed, "nothing was changed")
    bench.order(.retry([0, 2]))
    #expect(bench.state == .running && bench.engine.failures == 0)
    // The host that the halt sent back to the others goes with them.
    #expect(bench.busy == [0, 2, 3])
    bench.finish(0, .standing(.untouched))
    for host in [0, 2, 3] { try bench.promote(host) }
    for host in [0, 2, 3] where bench.steps[host] == .retain { try bench.succeed(host) }
    #expect(bench.state == .promotedWithExceptions && bench.engine.isAtRest)
  }

  @Test("Retry after an end with exceptions goes through the end again")
  func retryAfterEnd() throws {
    var bench = try Bench.started(2)
    bench.fail(0, .host)
    try bench.promote(1)
    try bench.succeed(1)
    #expect(bench.state == .promotedWithExceptions)
    bench.order(.retry([0]))
    #expect(bench.state == .running && bench.busy == [0])
    try bench.promote(0)
    #expect(bench.busy == [0], "the other host's retention has begun already")
    try bench.succeed(0)
    #expect(bench.state == .promoted)
  }

  @Test(
    "Retry is no way round an abort, a rollback or a promotion", arguments: [Order.Verb.abort, .rollback])
  func retryAfterStop(verb: Order.Verb) throws {
    var bench = try Bench.started(2)
    bench.fail(0, .host)
    bench.order(verb)
    bench.order(.retry([0]))
    bench.finish(1, .cancelled)
    let end = bench.state
    #expect(end.isEnd)
    bench.order(.retry([0]))
    #expect(bench.state == end && bench.busy == [] && bench.phase(0) == .failed)
  }

  @Test("Retry while a wave waits for approval begins the host at once, and the wave waits on")
  func retryAtApproval() throws {
    var bench = try Bench(3, makePolicy([wave(.count(2)), wave(everybody, approve: true)]))
    bench.send(.started)
    bench.fail(0, .host)
    try bench.promote(1)
    #expect(bench.state == .awaitingApproval)
    bench.order(.retry([0]))
    #expect(bench.state == .running && bench.busy == [0])
    try bench.promote(0)
    #expect(bench.state == .awaitingApproval && bench.busy == [])
  }

  @Test("A host that could not be reached and is tried again frees its place in that budget")
  func retryUnreachable() throws {
    var bench = try Bench.started(
      3,
      budget: Budget(
        canary: .count(0), wave: .count(0), fleet: .count(0), unreachable: .count(1)), onBreach: .halt)
    for _ in 0..<2 { bench.fail(0, .unreachable) }
    bench.order(.retry([0]))
    #expect(bench.engine.unreachableBeforeStart == 0 && bench.steps[0] == .preflight)
    for _ in 0..<2 { bench.fail(0, .unreachable) }
    #expect(bench.state == .running)
    for _ in 0..<2 { bench.fail(1, .unreachable) }
    #expect(bench.cancelled == [2])
  }

  @Test("A host lost while changed, tried again and lost again, is still known to be changed")
  func retryLost() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "soak")
    bench.lose(0)
    bench.order(.retry([0]))
    #expect(bench.steps[0] == .reconcile)
    bench.finish(0, .standing(.confirmed(bootID: "b", invocation: "i")))
    #expect(bench.steps[0]?.word == "soak")
    bench.lose(0)
    bench.order(.rollback)
    bench.lose(0)
    #expect(bench.state == .rollbackIncomplete)
  }

  @Test("Orders before the start do no harm")
  func beforeStart() throws {
    for verb in [Order.Verb.pause, .resume, .approve, .skip([0]), .retry([0])] {
      var bench = try Bench(2, makePolicy([wave(everybody)]))
      bench.order(verb)
      #expect(bench.busy == [])
      bench.send(.started)
      #expect(bench.busy.last == 1)
    }
    var bench = try Bench(2, makePolicy([wave(everybody)]))
    bench.order(.abort)
    #expect(bench.state == .aborted)
    bench.send(.started)
    #expect(bench.state == .aborted && bench.busy == [])
  }
}
