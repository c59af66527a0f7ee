import RolloutModel
import Testing

@testable import RolloutEngine

/// Playbooks around waves.
@Suite struct HookTests {
  /// A rollout over waves of these counts, with hooks, that has started.
  private func bench(
    _ ends: [Int], _ hooks: WaveHooks = makeHooks(), approve: Bool = false
  ) throws -> Bench {
    let waves = ends.enumerated().map { wave(.count($0.element), approve: approve && $0.offset > 0) }
    var policy = makePolicy(waves)
    policy.hooks = hooks
    var bench = try Bench(ends.last ?? 0, policy)
    bench.send(.started)
    return bench
  }

  private func call(_ hook: WaveHook, wave: Int, number: Int, _ hosts: [Int]) -> HookCall {
    HookCall(run: HookRun(hook, wave: wave, number: number), hosts: hosts)
  }

  @Test("Each wave waits for its first hook, and the next one and the end for its last")
  func inTurn() throws {
    var bench = try bench([1, 3])
    #expect(bench.hooks == [call(.beforeWave, wave: 0, number: 1, [0])] && bench.busy == [])
    #expect(bench.engine.snapshot().waves[0].state == .pending)
    #expect(bench.engine.snapshot().waves[0].hook?.playbook == "checks.yml" && !bench.engine.isAtRest)
    try bench.finishHook()
    #expect(bench.busy == [0] && bench.engine.snapshot().waves.map(\.hook) == [nil, nil])
    try bench.promote(0)
    #expect(bench.hooks.last == call(.afterWave, wave: 0, number: 2, [0]) && bench.busy == [])
    #expect(bench.engine.snapshot().waves[0].state == .running)
    try bench.finishHook()
    #expect(bench.hooks.last == call(.beforeWave, wave: 1, number: 3, [1, 2]) && bench.busy == [])
    #expect(bench.engine.snapshot().waves.map(\.state) == [.done, .pending])
    try bench.finishHook()
    #expect(bench.busy == [1, 2])
    try bench.promote(1)
    bench.fail(2, .precondition)
    #expect(bench.hooks.last == call(.afterWave, wave: 1, number: 4, [1]), "the failed host is not verified")
    try bench.finishHook()
    #expect(bench.steps[0] == .retain && bench.hooks.count == 4)
  }

  @Test("One hook alone is run as if there were no other", arguments: [true, false])
  func alone(isBefore: Bool) throws {
    var bench = try bench([1, 2], makeHooks(before: isBefore, after: !isBefore))
    if isBefore { try bench.finishHook() }
    try bench.promote(0)
    #expect(bench.hooks.last?.run.hook == (isBefore ? .beforeWave : .afterWave) && bench.busy == [])
    try bench.finishHook()
    #expect(bench.busy == [1])
  }

  @Test("A first hook that fails begins nothing of its wave, and is run again by resume")
  func failsBefore() throws {
    var bench = try bench([1, 2])
    try bench.finishHook(.failed(reason: "h0 ended as failed: Check the disk: full", hint: "mend it"))
    #expect(bench.state == .paused && bench.rests == [.paused] && bench.busy == [] && bench.engine.isAtRest)
    #expect(
      bench.engine.stateReason
        == "before_wave checks.yml of wave w1: h0 ended as failed: Check the disk: full; mend it")
    #expect(bench.engine.snapshot().failures == 0 && bench.phase(0) == .pending)
    bench.order(.resume)
    #expect(bench.hooks.last == call(.beforeWave, wave: 0, number: 2, [0]) && bench.busy == [])
    try bench.finishHook()
    #expect(bench.busy == [0])
  }

  @Test("A last hook that fails pauses and rolls nothing back; resume runs it again")
  func failsAfter() throws {
    var bench = try bench([1, 2])
    try bench.finishHook()
    try bench.promote(0)
    try bench.finishHook(.failed(reason: "sick", hint: ""))
    #expect(
      bench.state == .paused && bench.phase(0) == .promoted && bench.busy == []
        && !bench.engine.isReleaseAtFault)
    bench.order(.resume)
    #expect(bench.hooks.last == call(.afterWave, wave: 0, number: 3, [0]))
    try bench.finishHook()
    #expect(bench.hooks.last?.run.wave == 1)
  }

  @Test(
    "A word ends the hook at once, and its outcome counts no more",
    arguments: [Order.Verb.pause, .abort, .rollback])
  func orders(verb: Order.Verb) throws {
    for place in 0..<2 {
      var bench = try bench([1, 2])
      if place == 1 {
        try bench.finishHook()
        try bench.promote(0)
      }
      let run = try #require(bench.hooks.last).run
      bench.order(verb)
      #expect(bench.cancelledHooks == [run] && !bench.engine.isAtRest, "its processes still run")
      #expect(bench.engine.snapshot().waves.allSatisfy { $0.hook == nil })
      bench.send(.hook(run, .passed))
      #expect(bench.hooks.last?.run == run && bench.steps[1] == nil)
      if verb == .pause {
        #expect(bench.engine.isAtRest && bench.state == .paused)
        bench.order(.resume)
        #expect(bench.hooks.last?.run == HookRun(run.hook, wave: run.wave, number: run.number + 1))
      } else {
        while let host = bench.busy.first { try bench.succeed(host) }
        #expect(bench.state == (verb == .abort ? .aborted : .rolledBack))
      }
    }
  }

  @Test("A stop ends only once the hook has ended")
  func stopWaits() throws {
    var bench = try bench([1])
    bench.order(.abort)
    #expect(bench.state == .running && bench.rests == [])
    bench.send(.hook(try #require(bench.hooks.last).run, .cancelled))
    #expect(bench.state == .aborted && bench.rests == [.aborted])
  }

  @Test("A controller that takes over runs a hook again that was begun and not ended")
  func takenOver() throws {
    var bench = try bench([1, 2])
    let old = try #require(bench.hooks.last).run
    bench.send(.resumed(controller: "another"))
    #expect(bench.hooks.last == call(.beforeWave, wave: 0, number: 2, [0]) && bench.busy == [])
    #expect(bench.send(.hook(old, .passed)).isEmpty, "the dead controller's outcome is late")
    try bench.finishHook()
    bench.send(.resumed(controller: "a third"))
    #expect(bench.hooks.count == 2, "one that has ended is not run again")
  }

  @Test("A controller that takes over a pause does not wait for a hook that nobody runs")
  func takenOverPaused() throws {
    var bench = try bench([1])
    bench.order(.pause)
    bench.send(.resumed(controller: "another"))
    #expect(bench.engine.isAtRest && bench.hooks.count == 1)
    bench.order(.resume)
    #expect(bench.hooks.count == 2)
  }

  @Test("A host that is left out is not asked: the hook is run anew on the others")
  func skipped() throws {
    var bench = try bench([3])
    let run = try #require(bench.hooks.last).run
    bench.order(.skip([1]))
    #expect(bench.cancelledHooks == [run] && bench.hooks.count == 1)
    bench.send(.hook(run, .failed(reason: "h1 is dead", hint: "")))
    #expect(bench.state == .running && bench.hooks.last == call(.beforeWave, wave: 0, number: 2, [0, 2]))
    bench.order(.skip([1]))
    #expect(bench.cancelledHooks == [], "nothing has changed")
    bench.order(.skip([0, 2]))
    bench.send(.hook(try #require(bench.hooks.last).run, .cancelled))
    #expect(bench.hooks.count == 2 && bench.state == .promotedWithExceptions, "nobody is left to be asked")
  }

  @Test("A host that is tried again while its wave is verified is waited for and verified too")
  func retried() throws {
    var bench = try bench([2, 3])
    try bench.finishHook()
    try bench.promote(0)
    bench.fail(1, .precondition)
    let run = try #require(bench.hooks.last).run
    #expect(bench.hooks.last?.hosts == [0])
    bench.order(.retry([1]))
    #expect(bench.cancelledHooks == [run] && bench.busy == [], "nothing is begun beside a hook")
    bench.send(.hook(run, .passed))
    #expect(bench.busy == [1])
    try bench.promote(1)
    #expect(bench.hooks.last == call(.afterWave, wave: 0, number: 3, [0, 1]))
  }

  @Test("The first hook comes behind the approval, which is asked for once")
  func approval() throws {
    var bench = try bench([1, 2], approve: true)
    try bench.finishHook()
    try bench.promote(0)
    try bench.finishHook()
    #expect(bench.state == .awaitingApproval && bench.hooks.count == 2)
    bench.order(.approve)
    #expect(bench.hooks.last?.run.wave == 1)
    try bench.finishHook(.failed(reason: "no", hint: ""))
    bench.order(.resume)
    #expect(bench.state == .running && bench.hooks.count == 4 && bench.busy == [])
  }

  @Test("A wave that promoted nobody has nothing to verify")
  func nobody() throws {
    var bench = try bench([1, 2])
    try bench.finishHook()
    bench.fail(0, .precondition)
    #expect(bench.state == .paused && bench.hooks.count == 1)
    bench.order(.retry([0]))
    bench.order(.resume)
    try bench.promote(0)
    #expect(bench.hooks.last == call(.afterWave, wave: 0, number: 2, [0]))
  }

  @Test("A hook ended by nobody's word is taken for a failed one")
  func endedByItself() throws {
    var bench = try bench([1])
    try bench.finishHook(.cancelled)
    #expect(bench.state == .paused && bench.engine.stateReason.hasSuffix("it was ended early"))
  }
}
