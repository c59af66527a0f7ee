import RolloutModel
import Testing

@testable import RolloutEngine

/// How one host travels.
@Suite struct TravelTests {
  @Test("A sound host goes through every step in order, is promoted, and its retention begins with the end")
  func happyPath() throws {
    var bench = try Bench.started()
    var walked: [String] = []
    var phases: [HostPhase] = []
    while let step = bench.steps[0] {
      walked.append(step.word)
      phases.append(bench.phase(0))
      #expect(bench.delays[0] == .zero)
      try bench.succeed(0)
    }
    #expect(
      walked == [
        "preflight", "stage", "start", "gate", "flip", "prove", "confirm", "soak", "promote", "retain",
      ])
    #expect(
      phases == [
        .preflight, .staging, .starting, .gating, .flipping, .flipping, .flipping, .soaking, .soaking,
        .promoted,
      ])
    #expect(bench.state == .promoted && bench.rests == [.promoted])
    let host = bench.engine.hostSnapshot(0)
    #expect(host.liveSlot == "green" && host.liveVersion == "2.0.0" && host.retainedVersion == "1.0.0")
    #expect(host.reason == "" && host.since == nil)
    #expect(host.phases["gating"] == 1 && host.phases["flipping"] == 3 && host.phases["soaking"] == 2)
  }

  @Test("What steps show is told to those that follow")
  func knowledge() throws {
    var bench = try Bench.started()
    try bench.succeed(0)
    try bench.succeed(0)
    bench.finish(0, .started(bootID: "boot 1", invocation: "invocation 1"))
    let effects = bench.finish(0, .gatePassed(Moment(milliseconds: 77)))
    guard case .perform(0, _, let step, let known, _) = effects.first else {
      Issue.record("no step follows")
      return
    }
    #expect(step == .flip(gatePassed: Moment(milliseconds: 77)))
    #expect(known.bootID == "boot 1" && known.invocation == "invocation 1" && known.flip == "r-1-0-1")
    #expect(known.architecture == "x86_64" && known.from == .blue && known.candidate == .green)
    #expect(effects.count == 1)
  }

  @Test("The soak lasts as long as the host's own wave says")
  func soakOfWave() throws {
    var bench = try Bench(
      2, makePolicy([wave(.count(1), soak: .seconds(5)), wave(everybody, soak: .seconds(50))]))
    bench.send(.started)
    try bench.bring(0, to: "soak")
    #expect(bench.steps[0] == .soak(.seconds(5)))
    try bench.promote(0)
    try bench.bring(1, to: "soak")
    #expect(bench.steps[1] == .soak(.seconds(50)))
  }

  @Test("A host on which the release is live already is promoted untouched")
  func liveAlready() throws {
    var bench = try Bench.started()
    let effects = bench.finish(0, .cleared(try clear(isLive: true)))
    #expect(bench.phase(0) == .promoted && bench.state == .promoted)
    #expect(effects == [.rest(.promoted)])
    #expect(bench.engine.hostSnapshot(0).retainedVersion == nil)
    #expect(bench.engine.hostSnapshot(0).liveSlot == "blue")
  }

  @Test(
    "A step that the host fails is undone where anything was changed; only what was started is refused",
    arguments: [
      ("stage", false), ("start", true), ("gate", true), ("flip", true), ("prove", true), ("confirm", true),
      ("soak", true), ("promote", true),
    ], [StepFailure.Kind.host, .gate])
  func failures(step: (word: String, refuse: Bool), kind: StepFailure.Kind) throws {
    var bench = try Bench.started()
    try bench.bring(0, to: step.word)
    bench.fail(0, kind)
    #expect(bench.steps[0] == .restore(refuse: step.refuse, reason: "\(kind) here"))
    #expect(bench.phase(0) == .restoring && bench.engine.failures == 1)
    bench.finish(0, .restored)
    #expect(bench.phase(0) == .restored && bench.reason(0) == "\(kind) here")
    #expect(bench.state == .promotedWithExceptions)
  }

  @Test("A host that turns out not to be fit before anything is staged has failed, with nothing to undo")
  func precondition() throws {
    var bench = try Bench.started()
    var stopped = try clear()
    stopped.isStopped = true
    guard case .perform(0, _, .stage(again: false), let known, _) = bench.finish(0, .cleared(stopped)).first
    else {
      Issue.record("it was not staged")
      return
    }
    #expect(known.isStopped == true)
    bench.fail(0, .precondition)
    #expect(bench.phase(0) == .failed && bench.steps[0] == nil && bench.engine.failures == 1)
    #expect(bench.reason(0) == "precondition here")
  }

  @Test(
    "A precondition that fails after the staging is no fault of the release", arguments: ["start", "flip"])
  func latePrecondition(word: String) throws {
    var bench = try Bench.started()
    try bench.bring(0, to: word)
    bench.fail(0, .precondition)
    #expect(bench.steps[0] == .restore(refuse: false, reason: "precondition here"))
  }

  @Test(
    "A preflight that fails leaves the host failed, with nothing to undo",
    arguments: [
      StepFailure.Kind.host, .gate, .precondition, .leaseLost,
    ])
  func failedPreflight(kind: StepFailure.Kind) throws {
    var bench = try Bench.started()
    bench.fail(0, kind)
    #expect(bench.phase(0) == .failed && bench.steps[0] == nil && bench.engine.failures == 1)
    #expect(bench.reason(0) == "\(kind) here" && bench.state == .promotedWithExceptions)
  }

  @Test("A failure's hint and last lines are kept for people")
  func words() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "gate")
    bench.finish(0, .failed(StepFailure(.gate, "it is sick", hint: "look at it", lastLines: ["a", "b"])))
    bench.finish(0, .restored)
    #expect(bench.reason(0) == "it is sick; look at it")
    #expect(bench.engine.hostSnapshot(0).lastLines == ["a", "b"])
  }

  @Test("An unreachable host is tried twice, then left out, and no failure is charged")
  func unreachable() throws {
    var bench = try Bench.started()
    bench.fail(0, .unreachable)
    #expect(bench.steps[0] == .preflight && (bench.delays[0] ?? .zero) > .zero)
    bench.fail(0, .unreachable)
    #expect(bench.phase(0) == .unreachable && bench.engine.failures == 0 && bench.engine.stuck == 0)
    #expect(bench.engine.unreachableBeforeStart == 1)
  }

  @Test("A connection lost in every preflight makes a host unreachable, not failed")
  func lostPreflights() throws {
    var bench = try Bench.started()
    for _ in 0..<RolloutEngine.mostLost {
      bench.fail(0, .lost)
      try #require(bench.steps[0] == .preflight)
    }
    bench.fail(0, .lost)
    #expect(bench.phase(0) == .unreachable && bench.engine.failures == 0)
    #expect(bench.engine.unreachableBeforeStart == 1)
  }

  @Test(
    "After a lost connection the host is asked how it stands, and later each time",
    arguments: ["stage", "start", "gate", "flip", "prove", "confirm", "soak", "promote"],
    [StepFailure.Kind.lost, .unreachable])
  func lost(word: String, kind: StepFailure.Kind) throws {
    var bench = try Bench.started()
    try bench.bring(0, to: word)
    let phase = bench.phase(0)
    for times in 1...8 {
      bench.fail(0, kind)
      try #require(bench.steps[0] == .reconcile)
      let whole = min(500 << (times - 1), 16_000)
      let delay = try #require(bench.delays[0]).milliseconds
      #expect(delay >= Int64(whole / 2) && delay <= Int64(whole))
      #expect(bench.phase(0) == phase)
    }
    bench.now += RolloutEngine.longestSilence.milliseconds
    bench.fail(0, kind)
    #expect(bench.phase(0) == .unreachable && bench.engine.failures == 1 && bench.engine.stuck == 1)
    #expect(bench.engine.hostSnapshot(0).liveSlot == nil, "nobody knows who owns traffic")
  }

  @Test(
    "A host goes on from where it stands",
    arguments: [
      (HostStanding.untouched, "preflight"), (.candidateRuns(bootID: "b2", invocation: "i2"), "gate"),
      (.armed, "prove"), (.confirmed(bootID: "b2", invocation: "i2"), "soak"),
      (.undone(unconfirmed: true, reason: "no confirm came"), "preflight"),
      (.undone(unconfirmed: false, reason: "the unit failed"), "restore"),
      (.undoneByOrder(reason: "another controller rolled back"), "preflight"),
    ])
  func standings(standing: HostStanding, next: String) throws {
    for word in ["stage", "start", "gate", "flip", "prove", "confirm", "soak", "promote"] {
      var bench = try Bench.started()
      try bench.bring(0, to: word)
      bench.fail(0, .lost)
      bench.finish(0, .standing(standing))
      #expect(bench.steps[0]?.word == next, "after \(word)")
      #expect(bench.engine.hosts[0].lost == 0)
      let isFailure = next == "restore"
      #expect(bench.engine.failures == (isFailure ? 1 : 0))
      if isFailure { #expect(bench.steps[0] == .restore(refuse: true, reason: "the unit failed")) }
    }
  }

  @Test("A host that stands at an end is at its end")
  func standingsAtAnEnd() throws {
    var bench = try Bench.started(2)
    for host in 0...1 {
      try bench.bring(host, to: "promote")
      bench.fail(host, .lost)
    }
    bench.finish(0, .standing(.promoted))
    #expect(bench.phase(0) == .promoted && bench.reason(0) == "")
    bench.finish(1, .standing(.quarantined(reason: "both sides are dead")))
    #expect(bench.phase(1) == .quarantined && bench.reason(1) == "both sides are dead")
    #expect(bench.engine.failures == 1 && bench.engine.stuck == 1)
  }

  @Test("A flip's name is used once: a host that is begun anew has a new one")
  func flipNames() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "prove")
    bench.fail(0, .lost)
    let effects = bench.finish(0, .standing(.undone(unconfirmed: true, reason: "")))
    guard case .perform(0, _, .preflight, let known, _) = effects.first else {
      Issue.record("not begun anew")
      return
    }
    #expect(known.flip == "r-1-0-2")
    #expect(known.from == .blue, "an undo must know who owned traffic before")
  }

  @Test(
    "A flip of a later try than the journal knows of is gone on with where it stands, and its name is not used again"
  )
  func ahead() throws {
    for isOver in [false, true] {
      var bench = try Bench.started()
      try bench.bring(0, to: "stage")
      bench.fail(0, .lost)
      let effects = bench.finish(0, .standing(.ahead(flip: "r-1-0-7", tries: 7, isOver: isOver)))
      guard case .perform(0, _, let step, let known, _) = effects.first else {
        Issue.record("nothing follows")
        return
      }
      #expect(step == (isOver ? .preflight : .reconcile))
      #expect(known.flip == (isOver ? "r-1-0-8" : "r-1-0-7"))
      #expect(bench.engine.failures == 0)
    }
  }

  @Test("For want of a confirm a host is begun anew twice and charged nothing; the third time it has failed")
  func unconfirmed() throws {
    var bench = try Bench.started()
    for _ in 0..<RolloutEngine.mostUnconfirmed {
      try bench.bring(0, to: "confirm")
      bench.fail(0, .undone)
      #expect(bench.steps[0] == .reconcile)
      bench.finish(0, .standing(.undone(unconfirmed: true, reason: "too late")))
      #expect(bench.steps[0] == .preflight && bench.engine.failures == 0)
    }
    try bench.bring(0, to: "confirm")
    bench.fail(0, .undone)
    bench.finish(0, .standing(.undone(unconfirmed: true, reason: "too late")))
    #expect(bench.steps[0] == .restore(refuse: false, reason: "too late") && bench.engine.failures == 1)
  }

  @Test("A host that other controllers undo again and again is given up, and the release is not blamed")
  func undoneByOthers() throws {
    var bench = try Bench.started()
    var times = 0
    repeat {
      #expect(bench.engine.failures == 0)
      try bench.bring(0, to: "confirm")
      bench.fail(0, .undone)
      bench.finish(0, .standing(.undoneByOrder(reason: "a rollback")))
      times += 1
    } while bench.steps[0] == .preflight && times <= RolloutEngine.mostSetbacks
    #expect(times > 2)
    guard case .restore(let refuse, _) = bench.steps[0] else {
      Issue.record("not given up")
      return
    }
    #expect(!refuse && bench.engine.failures == 1)
  }

  @Test("A restore is tried three times, later each time; then the host is quarantined and charged once")
  func quarantine() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "gate")
    bench.fail(0, .gate)
    let restore = bench.steps[0]
    for _ in 1..<RolloutEngine.mostRestores {
      bench.fail(0, .host)
      try #require(bench.steps[0] == restore && bench.delays[0] != .zero)
    }
    bench.fail(0, .host)
    #expect(bench.phase(0) == .quarantined && bench.reason(0) == "host here" && bench.engine.failures == 1)
  }

  @Test(
    "A restore never turns into a way forward",
    arguments: [
      StepOutcome.cancelled, .failed(StepFailure(.lost, "")), .failed(StepFailure(.undone, "")), .staged,
    ])
  func restoreStays(outcome: StepOutcome) throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "soak")
    bench.fail(0, .gate)
    let restore = bench.steps[0]
    for _ in 0..<RolloutEngine.mostRestores - 1 {
      bench.finish(0, outcome)
      #expect(bench.steps[0] == restore)
    }
  }

  @Test(
    "A restore that never comes out well ends",
    arguments: [
      StepOutcome.cancelled, .failed(StepFailure(.lost, "")), .failed(StepFailure(.undone, "")), .staged,
      .failed(StepFailure(.shared, "")), .failed(StepFailure(.gate, "")),
      .failed(StepFailure(.leaseLost, "")),
    ])
  func restoreEnds(outcome: StepOutcome) throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "soak")
    bench.fail(0, .gate)
    for _ in 0..<8 where bench.steps[0] != nil {
      bench.finish(0, outcome)
      bench.now += RolloutEngine.longestShared.milliseconds / 4
    }
    #expect(bench.steps[0] == nil && bench.engine.stuck == 1)
    #expect([.quarantined, .unreachable].contains(bench.phase(0)))
  }

  @Test(
    "A host that says it can't undo is quarantined at once", arguments: ["start", "flip", "soak", "promote"])
  func saysQuarantined(word: String) throws {
    var bench = try Bench.started()
    try bench.bring(0, to: word)
    bench.fail(0, .quarantined)
    #expect(bench.phase(0) == .quarantined && bench.engine.failures == 1 && bench.engine.stuck == 1)
  }

  @Test(
    "A lease that another controller took leaves the host to it",
    arguments: [
      ("stage", HostPhase.failed), ("start", .quarantined), ("soak", .quarantined),
    ])
  func leaseLost(word: String, end: HostPhase) throws {
    var bench = try Bench.started()
    try bench.bring(0, to: word)
    bench.fail(0, .leaseLost)
    #expect(bench.phase(0) == end && bench.steps[0] == nil)
  }

  @Test("A fault of something shared pauses, and costs no host anything", arguments: ["preflight", "stage"])
  func sharedEarly(word: String) throws {
    var bench = try Bench.started(
      2, budget: Budget(canary: .count(0), wave: .count(0), fleet: .count(0), unreachable: .count(0)))
    try bench.bring(0, to: word)
    bench.fail(0, .shared)
    #expect(bench.state == .paused && bench.rests == [.paused])
    #expect(bench.phase(0) == .pending && bench.engine.failures == 0)
    bench.order(.resume)
    #expect(bench.steps[0] == .preflight)
  }

  @Test("A fault of something shared in the midst of a host pauses, and the host is asked how it stands")
  func sharedLate() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "soak")
    bench.fail(0, .shared)
    #expect(bench.state == .paused && bench.steps[0] == .reconcile && bench.engine.failures == 0)
  }

  @Test("Nothing that was begun is given up while all that was begun is silent: the way there is suspect")
  func silentFleet() throws {
    var bench = try Bench.started(4)
    for host in 0..<4 { try bench.bring(host, to: "soak") }
    for host in 0..<2 { bench.fail(host, .lost) }
    #expect(bench.state == .running)
    bench.fail(2, .lost)
    #expect(bench.state == .paused)
    bench.now += RolloutEngine.longestSilence.milliseconds * 2
    for host in 0..<4 { bench.fail(host, .lost) }
    #expect((0..<4).allSatisfy { bench.steps[$0] == .reconcile } && bench.engine.failures == 0)
    // One that answers shows that the way is good: the others are silent by themselves.
    bench.finish(3, .standing(.confirmed(bootID: "b", invocation: "i")))
    bench.fail(0, .lost)
    #expect(bench.phase(0) == .unreachable && bench.engine.failures == 1)
  }

  @Test("Hosts that answer, and stand otherwise than was believed, are not silent: the rollout goes on")
  func changedHosts() throws {
    var bench = try Bench.started(4)
    for host in 0..<4 { try bench.bring(host, to: "soak") }
    for host in 0..<4 { bench.fail(host, .changed) }
    #expect(bench.state == .running && bench.engine.failures == 0)
    #expect((0..<4).allSatisfy { bench.steps[$0] == .reconcile })
    // One that never comes to rest is made undone, and what can't be made undone is left to a person.
    bench.now += RolloutEngine.longestSilence.milliseconds * 2
    bench.fail(0, .changed)
    #expect(bench.steps[0] == .restore(refuse: false, reason: "changed here") && bench.engine.failures == 1)
    bench.fail(0, .changed)
    #expect(bench.steps[0]?.word == "restore")
    bench.now += RolloutEngine.longestSilence.milliseconds * 2
    bench.fail(0, .changed)
    #expect(bench.phase(0) == .quarantined)
  }

  @Test("A host on which nothing was begun yet, and that never stands still, fails after a few questions")
  func changedBefore() throws {
    var bench = try Bench.started(1)
    for _ in 0..<RolloutEngine.mostLost {
      bench.fail(0, .changed)
      #expect(bench.steps[0] == .preflight)
    }
    bench.fail(0, .changed)
    #expect(bench.phase(0) == .failed)
  }

  @Test(
    "A candidate that met a fault of something shared makes room, and is begun anew after a person's word")
  func sharedEarly() throws {
    for word in ["start", "gate"] {
      var bench = try Bench.started(2)
      try bench.bring(0, to: word)
      bench.fail(0, .shared)
      #expect(bench.state == .paused && bench.steps[0]?.word == "restore" && bench.engine.failures == 0)
      bench.finish(0, .restored)
      #expect(bench.phase(0) == .pending && bench.steps[0] == nil)
      bench.order(.resume)
      #expect(bench.steps[0] == .preflight)
    }
  }

  @Test(
    "A candidate that made room while the old version is sick as well waits for a person: nobody is charged"
  )
  func sharedForLong() throws {
    var bench = try Bench.started(2)
    try bench.bring(0, to: "gate")
    bench.fail(0, .shared)
    for _ in 0..<RolloutEngine.mostRestores {
      #expect(bench.steps[0]?.word == "restore")
      bench.fail(0, .host)
    }
    #expect(bench.state == .paused && bench.phase(0) == .pending && bench.engine.failures == 0)
    bench.order(.resume)
    #expect(bench.steps[0] == .reconcile)
    bench.finish(0, .standing(.untouched))
    #expect(bench.steps[0] == .preflight)
  }

  @Test("A host that could not make room and is tried again later is judged like any other")
  func roomForgotten() throws {
    var bench = try Bench.started(2)
    try bench.bring(0, to: "gate")
    bench.fail(0, .shared)
    bench.fail(0, .quarantined)
    #expect(bench.phase(0) == .quarantined)
    bench.order(.resume)
    bench.order(.retry([0]))
    bench.finish(0, .standing(.candidateRuns(bootID: "b", invocation: "i")))
    bench.finish(0, .failed(StepFailure(.gate, "sick")))
    bench.finish(0, .restored)
    #expect(bench.phase(0) == .restored)
  }

  @Test("A gate that fails is the release's fault also soon after a fault of something shared")
  func gateAfterShared() throws {
    var bench = try Bench.started(2)
    try bench.bring(0, to: "soak")
    try bench.bring(1, to: "soak")
    bench.fail(0, .shared)
    bench.fail(1, .gate)
    #expect(bench.steps[1] == .restore(refuse: true, reason: "gate here") && bench.engine.failures == 1)
  }

  @Test(
    "The clock since boot begins anew with the controller's machine: phases and patience are not reckoned across it"
  )
  func rebootedController() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "soak")
    bench.now += 4000
    bench.fail(0, .lost)
    bench.now = 10
    bench.send(.resumed(controller: "another"))
    for _ in 0..<10 { bench.fail(0, .lost) }
    bench.now += RolloutEngine.longestSilence.milliseconds - 20_000
    bench.fail(0, .lost)
    #expect(bench.steps[0] == .reconcile)
    bench.finish(0, .standing(.confirmed(bootID: "b", invocation: "i")))
    bench.finish(0, .soaked(samples: 3))
    bench.finish(0, .promoted)
    #expect((bench.engine.hostSnapshot(0).phases["soaking"] ?? -1) >= 280)
  }

  @Test("What fails in common while it is made undone is tried for long, and nobody is blamed before")
  func sharedRestore() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "soak")
    bench.order(.rollback)
    bench.finish(0, .cancelled)
    for _ in 0..<100 { bench.fail(0, .shared) }
    #expect(bench.steps[0]?.word == "restore" && bench.engine.failures == 0)
    bench.finish(0, .restored)
    #expect(bench.state == .rolledBack)
  }

  @Test("A precondition that fails on three hosts in a row pauses, and later ones are charged nothing")
  func sharedDependency() throws {
    var bench = try Bench.started(6)
    for host in 0..<2 { bench.fail(host, .precondition) }
    #expect(bench.state == .running && bench.engine.failures == 2)
    bench.fail(2, .precondition)
    #expect(bench.state == .paused && bench.engine.failures == 2)
    bench.fail(3, .precondition)
    #expect(bench.engine.failures == 2)
  }

  @Test("A precondition that fails here and there is the hosts' own")
  func ownDependency() throws {
    var bench = try Bench.started(8)
    for host in [0, 1, 3, 4, 6, 7] {
      bench.fail(host, .precondition)
      if host % 3 == 1, host < 7 { try bench.succeed(host + 1) }
    }
    #expect(bench.state == .running && bench.engine.failures == 6)
  }

  @Test("Outcomes that are late, early, repeated or of no host change nothing")
  func late() throws {
    var bench = try Bench.started(2)
    try bench.bring(0, to: "gate")
    let before = bench.engine.snapshot()
    for (host, attempt) in [(0, 0), (0, 3), (0, 5), (0, -1), (2, 1), (-1, 1), (Int.max, 1)] {
      #expect(bench.send(.step(host: host, attempt: attempt, .promoted)).isEmpty)
      #expect(bench.engine.snapshot() == before)
    }
  }

  @Test("Another step's outcome proves nothing: the host is asked how it stands")
  func misplaced() throws {
    for word in ["stage", "start", "gate", "flip", "prove", "confirm", "soak"] {
      var bench = try Bench.started()
      try bench.bring(0, to: word)
      bench.finish(0, .promoted)
      #expect(bench.steps[0] == .reconcile && bench.phase(0) != .promoted)
    }
  }

  @Test("A fault that comes back at the same step for ever ends in an undo")
  func endless() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "flip")
    var rounds = 0
    while bench.phase(0) != .restoring, rounds < 1000 {
      bench.fail(0, .lost)
      if bench.steps[0] == .reconcile {
        bench.finish(0, .standing(.candidateRuns(bootID: "b", invocation: "i")))
      }
      if bench.steps[0] == .gate { try bench.succeed(0) }
      rounds += 1
    }
    #expect(rounds == RolloutEngine.mostSetbacks + 1)
    #expect(bench.steps[0] == .restore(refuse: false, reason: "lost here"))
  }

  @Test("A retention that can't be started leaves the host promoted, and says so")
  func retention() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "retain")
    #expect(bench.state == .running && bench.phase(0) == .promoted)
    for _ in 1..<RolloutEngine.mostRetains {
      bench.fail(0, .lost)
      try #require(bench.steps[0] == .retain)
    }
    bench.fail(0, .lost)
    #expect(bench.state == .promoted && bench.reason(0).hasPrefix("promoted; the old slot is kept"))
  }
}
