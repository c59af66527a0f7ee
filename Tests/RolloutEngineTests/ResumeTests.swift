import ControllerMachine
import RolloutModel
import Testing

@testable import RolloutEngine

/// Another controller takes a rollout up.
@Suite struct ResumeTests {
  @Test(
    "Steps that change nothing, or that can be done twice, are done again; all others begin with a question",
    arguments: [
      ("preflight", "preflight"), ("stage", "reconcile"), ("start", "reconcile"), ("gate", "reconcile"),
      ("flip", "reconcile"), ("prove", "reconcile"), ("confirm", "reconcile"), ("soak", "reconcile"),
      ("promote", "reconcile"), ("retain", "retain"),
    ])
  func steps(word: String, next: String) throws {
    var bench = try Bench.started()
    try bench.bring(0, to: word)
    let phase = bench.phase(0)
    let old = try #require(bench.attempts[0])
    bench.send(.resumed(controller: "another"))
    #expect(bench.steps[0]?.word == next && bench.phase(0) == phase)
    #expect(
      bench.send(.step(host: 0, attempt: old, .promoted)).isEmpty, "the dead controller's outcome is late")
    bench.send(.resumed(controller: "a third"))
    #expect(bench.steps[0]?.word == next && bench.engine.underWay == 1)
  }

  @Test("A restore goes on as the same restore")
  func restore() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "gate")
    bench.fail(0, .gate)
    let restore = bench.steps[0]
    bench.send(.resumed(controller: "another"))
    #expect(bench.steps[0] == restore)
  }

  @Test("A host that was to be undone is undone after the question")
  func wanted() throws {
    var bench = try Bench.started()
    try bench.bring(0, to: "soak")
    bench.order(.abort)
    bench.send(.resumed(controller: "another"))
    bench.finish(0, .standing(.confirmed(bootID: "b", invocation: "i")))
    #expect(bench.steps[0]?.word == "restore")
  }

  @Test("A pause, a wait for approval and an end outlast a controller; nothing starts")
  func rests() throws {
    var bench = try Bench.started(2)
    bench.order(.pause)
    try bench.promote(0)
    try bench.promote(1)
    bench.send(.resumed(controller: "another"))
    #expect(bench.state == .paused && bench.busy == [])
    bench.order(.resume)
    for host in 0..<2 { try bench.succeed(host) }
    #expect(bench.send(.resumed(controller: "another")).isEmpty)
    #expect(bench.state == .promoted)
  }
}

/// Append before act.
@Suite struct ControllerMachineTests {
  private typealias Machine = ControllerMachine<RolloutEngine>

  private func stamped(_ event: RolloutEvent, at now: Int64 = 0) -> StampedEvent {
    StampedEvent(event, at: Moment(milliseconds: now), wall: now, chance: 0)
  }

  private func makeMachine(_ count: Int = 2) throws -> Machine {
    Machine(engine: RolloutEngine(plan: try makePlan(count, makePolicy([wave(everybody)]))))
  }

  @Test("Nothing is done before the event and its intents are durable; then all of it is, in order")
  func order() throws {
    var machine = try makeMachine()
    #expect(machine.isQuiet)
    let first = machine.handle(.event(stamped(.started)))
    guard first.count == 1, case .commit(let entries) = first[0] else {
      Issue.record("not one commit")
      return
    }
    #expect(entries.count == 3 && entries[0] == .event(stamped(.started)) && !machine.isQuiet)
    let second = machine.handle(.committed)
    guard second.count == 1, case .perform(let effects) = second[0] else {
      Issue.record("not performed")
      return
    }
    #expect(entries.dropFirst() == effects.map(JournalEntry.intent)[...] && machine.isQuiet)
  }

  @Test("Events that arrive during a commit share the next one, each before its own intents")
  func sharing() throws {
    var machine = try makeMachine()
    _ = machine.handle(.event(stamped(.started)))
    #expect(machine.handle(.event(stamped(.step(host: 0, attempt: 1, .cleared(try clear()))))).isEmpty)
    #expect(machine.handle(.event(stamped(.step(host: 1, attempt: 1, .cleared(try clear()))))).isEmpty)
    let actions = machine.handle(.committed)
    guard actions.count == 2, case .perform(let started) = actions[0], case .commit(let entries) = actions[1]
    else {
      Issue.record("\(actions)")
      return
    }
    #expect(started.count == 2, "only what is durable is done")
    let kinds = entries.map { if case .event = $0 { "event" } else { "intent" } }
    #expect(kinds == ["event", "intent", "event", "intent"])
    guard case .perform(let staged)? = machine.handle(.committed).first else {
      Issue.record("not performed")
      return
    }
    #expect(staged.count == 2)
  }

  @Test("News of playbooks keep their place among the events, lead to nothing, and are replayed over")
  func news() throws {
    var machine = try makeMachine()
    let task = PlaybookTask(name: "Check", play: "p")
    func news(_ host: Int) -> PlaybookNews {
      PlaybookNews(
        .prepare, host: host,
        .result(PlaybookTaskResult(host: "h\(host)", task: task, outcome: .changed, message: "")))
    }
    var records: [JournalRecord] = []
    func keep(_ actions: [Machine.Action]) {
      for case .commit(let entries) in actions {
        for entry in entries {
          records.append(JournalRecord(sequence: Int64(records.count + 2), wall: 0, entry: entry))
        }
      }
    }
    keep(machine.handle(.event(stamped(.started))))
    #expect(machine.handle(.news(news(0))).isEmpty && machine.backlog == 1)
    #expect(machine.handle(.event(stamped(.step(host: 0, attempt: 1, .cleared(try clear()))))).isEmpty)
    #expect(machine.handle(.news(news(1))).isEmpty && machine.backlog == 3)
    keep(machine.handle(.committed))
    keep(machine.handle(.committed))
    #expect(machine.isQuiet && machine.backlog == 0)
    keep(machine.handle(.news(news(1))))
    guard case .commit? = machine.handle(.committed).first else {
      #expect(machine.isQuiet, "news alone are committed, and nothing follows from them")
      let kinds = records.map { record in
        switch record.entry {
        case .plan: "plan"
        case .event: "event"
        case .intent: "intent"
        case .playbook: "news"
        }
      }
      #expect(
        kinds == ["event", "intent", "intent", "news", "event", "intent", "news", "news"])
      var replay = JournalReplay(engine: try makeMachine().engine)
      for record in records { try replay.take(record) }
      #expect(replay.engine.snapshot() == machine.engine.snapshot())
      // Between an event and what it led to they can't stand.
      var torn = JournalReplay(engine: try makeMachine().engine)
      try torn.take(records[0])
      #expect(throws: JournalReplay<RolloutEngine>.Fault.differs(sequence: 5)) { try torn.take(records[3]) }
      return
    }
    Issue.record("something is still to be committed")
  }

  @Test("A commit that failed is acted on never, nor is anything after it")
  func failedCommit() throws {
    var machine = try makeMachine()
    _ = machine.handle(.event(stamped(.started)))
    _ = machine.handle(.event(stamped(.order(Order(.pause, reason: "", by: "")))))
    guard case .stop("disk full")? = machine.handle(.commitFailed("disk full")).first else {
      Issue.record("not stopped")
      return
    }
    #expect(machine.handle(.committed).isEmpty)
    #expect(machine.handle(.event(stamped(.started))).isEmpty)
    #expect(machine.handle(.commitFailed("again")).isEmpty)
  }

  @Test("A replay of what was committed is the live engine; any other record is refused by its number")
  func replay() throws {
    var machine = try makeMachine()
    var records: [JournalRecord] = []
    func keep(_ actions: [Machine.Action]) {
      for case .commit(let entries) in actions {
        for entry in entries {
          records.append(JournalRecord(sequence: Int64(records.count + 2), wall: 0, entry: entry))
        }
      }
    }
    for event in [
      RolloutEvent.started, .step(host: 0, attempt: 1, .cleared(try clear())),
      .step(host: 1, attempt: 1, .failed(StepFailure(.unreachable, "no"))), .resumed(controller: "x"),
      .order(Order(.abort, reason: "", by: "")),
    ] {
      keep(machine.handle(.event(stamped(event, at: Int64(records.count)))))
      keep(machine.handle(.committed))
    }
    let plan = machine.engine.plan
    var replay = JournalReplay(engine: RolloutEngine(plan: plan))
    for record in records { try replay.take(record) }
    #expect(replay.engine == machine.engine)

    for place in records.indices {
      guard case .intent(let effect) = records[place].entry else { continue }
      var changed = records
      if case .perform(let host, let attempt, let step, let known, let delay) = effect {
        changed[place].entry = .intent(.perform(host: host, attempt: attempt + 1, step, known, delay: delay))
      } else {
        changed[place].entry = .intent(.rest(.promoted))
      }
      var missing = records
      missing.remove(at: place)
      for bad in [changed, missing] {
        var replay = JournalReplay(engine: RolloutEngine(plan: plan))
        let fault = #expect(throws: JournalReplay<RolloutEngine>.Fault.self) {
          for record in bad { try replay.take(record) }
          // What ends before the engine's intents do is told by the store, which knows the last number.
          if bad.count < records.count, place == records.count - 1 {
            throw JournalReplay<RolloutEngine>.Fault.differs(sequence: records[place].sequence)
          }
        }
        guard case .differs(let sequence)? = fault else {
          Issue.record("\(String(describing: fault))")
          continue
        }
        #expect(sequence == records[place].sequence || bad.count < records.count)
      }
    }
    var misplaced = JournalReplay(engine: RolloutEngine(plan: plan))
    #expect(throws: JournalReplay<RolloutEngine>.Fault.misplaced(sequence: 9)) {
      try misplaced.take(JournalRecord(sequence: 9, wall: 0, entry: .plan(plan)))
    }
  }
}
