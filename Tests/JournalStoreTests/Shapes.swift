import RolloutModel

/// The kinds of things that a journal can hold. The switches below don't compile without a new kind, and the golden journals
/// must hold every one.
enum Shape: Hashable, CaseIterable {
  case plan, event, intent, playbook
  case prepares, hooks
  case door, play, task, result, ended
  case overSSH, overRPC
  case resultOK, resultChanged, resultSkipped, resultFailed, resultUnreachable, resultIgnored
  case endedOK, endedChanged, endedSkipped, endedFailed, endedUnreachable, endedUnmatched, endedLost
  case started, resumed, step, order, hookEnded
  case sayPause, sayResume, sayApprove, sayAbort, sayRollback, saySkip, sayRetry
  case perform, cancel, rest, runHook, cancelHook
  case beforeWave, afterWave
  case hookPassed, hookFailed, hookCancelled
  case doPreflight, doStage, doStart, doGate, doFlip, doProve, doConfirm, doSoak, doPromote, doRestore,
    doReconcile, doRetain
  case cleared, staged, unitStarted, gatePassed, flipped, proven, confirmed, soaked, promoted, restored,
    retained,
    standing, cancelled, failed
  case standsUntouched, standsCandidateRuns, standsArmed, standsConfirmed, standsPromoted, standsAhead,
    standsUndone, standsUndoneByOrder,
    standsQuarantined
  case unreachable, lost, changed, host, gate, precondition, undone, quarantined, leaseLost, overruled, busy,
    shared
  case isRunning, isPaused, isAwaitingApproval, isPromoted, isPromotedWithExceptions, isRollingBack,
    isRolledBack,
    isRollbackIncomplete, isHalted, isAborted
  case nftables, noDriver, commandDriver
  case count, share
  case halt, rollback
  case http, https, tcp
  case text, number, flag, null
  case needsCommand, needsDisk, needsMemory, needsPort, needsTCP, needsHTTP, needsFile, needsPythonModule
  case atLeast, atMost, above, below, equal, notEqual
  case blueSlot, greenSlot
  case blueSide, greenSide, adoptedSide
  case isContainer, hasImage, hasVolume, hasRPC, hasToken, hasPrepare, hasFloor
}

/// The kinds that occur in entries.
struct Shapes {
  private(set) var found: Set<Shape> = []

  mutating func add(_ entry: JournalEntry) {
    switch entry {
    case .plan(let plan): note(.plan); add(plan)
    case .event(let stamped): note(.event); add(stamped.event)
    case .intent(let effect): note(.intent); add(effect)
    case .playbook(let news):
      note(.playbook)
      switch news.occasion {
      case .prepare: note(.prepares)
      case .hook: note(.hooks)
      }
      add(news.event)
    }
  }

  private mutating func note(_ shape: Shape) { found.insert(shape) }

  // MARK: Playbooks

  private mutating func add(_ event: PlaybookEvent) {
    switch event {
    case .door(_, let choice): note(.door); add(choice)
    case .play: note(.play)
    case .task: note(.task)
    case .result(let result): note(.result); add(result.outcome)
    case .ended(let report): note(.ended); add(report.outcome); add(report.door)
    }
  }

  private mutating func add(_ choice: PlaybookDoorChoice) {
    switch choice.door {
    case .ssh: note(.overSSH)
    case .rpc: note(.overRPC)
    }
  }

  private mutating func add(_ outcome: PlaybookTaskResult.Outcome) {
    switch outcome {
    case .ok: note(.resultOK)
    case .changed: note(.resultChanged)
    case .skipped: note(.resultSkipped)
    case .failed: note(.resultFailed)
    case .unreachable: note(.resultUnreachable)
    case .ignored: note(.resultIgnored)
    }
  }

  private mutating func add(_ outcome: PlaybookHostReport.Outcome) {
    switch outcome {
    case .ok: note(.endedOK)
    case .changed: note(.endedChanged)
    case .skipped: note(.endedSkipped)
    case .failed: note(.endedFailed)
    case .unreachable: note(.endedUnreachable)
    case .unmatched: note(.endedUnmatched)
    case .lost: note(.endedLost)
    }
  }

  // MARK: Events

  private mutating func add(_ event: RolloutEvent) {
    switch event {
    case .started: note(.started)
    case .resumed: note(.resumed)
    case .step(_, _, let outcome): note(.step); add(outcome)
    case .order(let order): note(.order); add(order.verb)
    case .hook(let run, let outcome): note(.hookEnded); add(run.hook); add(outcome)
    }
  }

  private mutating func add(_ hook: WaveHook) {
    switch hook {
    case .beforeWave: note(.beforeWave)
    case .afterWave: note(.afterWave)
    }
  }

  private mutating func add(_ outcome: HookOutcome) {
    switch outcome {
    case .passed: note(.hookPassed)
    case .failed: note(.hookFailed)
    case .cancelled: note(.hookCancelled)
    }
  }

  private mutating func add(_ verb: Order.Verb) {
    switch verb {
    case .pause: note(.sayPause)
    case .resume: note(.sayResume)
    case .approve: note(.sayApprove)
    case .abort: note(.sayAbort)
    case .rollback: note(.sayRollback)
    case .skip: note(.saySkip)
    case .retry: note(.sayRetry)
    }
  }

  private mutating func add(_ outcome: StepOutcome) {
    switch outcome {
    case .cleared(let result):
      note(.cleared)
      add(result.candidate)
      if let from = result.from { add(from) }
    case .staged: note(.staged)
    case .started: note(.unitStarted)
    case .gatePassed: note(.gatePassed)
    case .flipped: note(.flipped)
    case .proven: note(.proven)
    case .confirmed: note(.confirmed)
    case .soaked: note(.soaked)
    case .promoted: note(.promoted)
    case .restored: note(.restored)
    case .retained: note(.retained)
    case .standing(let standing): note(.standing); add(standing)
    case .cancelled: note(.cancelled)
    case .failed(let failure): note(.failed); add(failure.kind)
    }
  }

  private mutating func add(_ standing: HostStanding) {
    switch standing {
    case .untouched: note(.standsUntouched)
    case .candidateRuns: note(.standsCandidateRuns)
    case .armed: note(.standsArmed)
    case .confirmed: note(.standsConfirmed)
    case .promoted: note(.standsPromoted)
    case .ahead: note(.standsAhead)
    case .undone: note(.standsUndone)
    case .undoneByOrder: note(.standsUndoneByOrder)
    case .quarantined: note(.standsQuarantined)
    }
  }

  private mutating func add(_ kind: StepFailure.Kind) {
    switch kind {
    case .unreachable: note(.unreachable)
    case .lost: note(.lost)
    case .changed: note(.changed)
    case .host: note(.host)
    case .gate: note(.gate)
    case .precondition: note(.precondition)
    case .undone: note(.undone)
    case .quarantined: note(.quarantined)
    case .leaseLost: note(.leaseLost)
    case .overruled: note(.overruled)
    case .busy: note(.busy)
    case .shared: note(.shared)
    }
  }

  // MARK: Intents

  private mutating func add(_ effect: RolloutEffect) {
    switch effect {
    case .perform(_, _, let step, let knowledge, _):
      note(.perform)
      add(step)
      add(knowledge.candidate)
      if let from = knowledge.from { add(from) }
    case .cancel: note(.cancel)
    case .runHook(let run, _): note(.runHook); add(run.hook)
    case .cancelHook(let run): note(.cancelHook); add(run.hook)
    case .rest(let state): note(.rest); add(state)
    }
  }

  private mutating func add(_ step: HostStep) {
    switch step {
    case .preflight: note(.doPreflight)
    case .stage: note(.doStage)
    case .start: note(.doStart)
    case .gate: note(.doGate)
    case .flip: note(.doFlip)
    case .prove: note(.doProve)
    case .confirm: note(.doConfirm)
    case .soak: note(.doSoak)
    case .promote: note(.doPromote)
    case .restore: note(.doRestore)
    case .reconcile: note(.doReconcile)
    case .retain: note(.doRetain)
    }
  }

  private mutating func add(_ state: RolloutState) {
    switch state {
    case .running: note(.isRunning)
    case .paused: note(.isPaused)
    case .awaitingApproval: note(.isAwaitingApproval)
    case .promoted: note(.isPromoted)
    case .promotedWithExceptions: note(.isPromotedWithExceptions)
    case .rollingBack: note(.isRollingBack)
    case .rolledBack: note(.isRolledBack)
    case .rollbackIncomplete: note(.isRollbackIncomplete)
    case .halted: note(.isHalted)
    case .aborted: note(.isAborted)
    }
  }

  private mutating func add(_ slot: Slot) {
    switch slot {
    case .blue: note(.blueSlot)
    case .green: note(.greenSlot)
    }
  }

  private mutating func add(_ side: Side) {
    switch side {
    case .blue: note(.blueSide)
    case .green: note(.greenSide)
    case .adopted: note(.adoptedSide)
    }
  }

  // MARK: Plans

  private mutating func add(_ plan: Plan) {
    switch plan.agent.traffic {
    case .nftables: note(.nftables)
    case .none: note(.noDriver)
    case .command: note(.commandDriver)
    }
    switch plan.policy.onBreach {
    case .halt: note(.halt)
    case .rollback: note(.rollback)
    }
    for wave in plan.policy.waves { add(wave.hosts); add(wave.batch) }
    for probe in plan.agent.health { add(probe) }
    if let container = plan.agent.container {
      note(.isContainer)
      if container.image != nil { note(.hasImage) }
      if !container.volumes.isEmpty { note(.hasVolume) }
    }
    if let rpc = plan.agent.rpc {
      note(.hasRPC)
      if rpc.token != nil { note(.hasToken) }
    }
    if plan.agent.prepare != nil { note(.hasPrepare) }
    if plan.agent.floor != nil { note(.hasFloor) }
    for dependency in plan.agent.dependencies { add(dependency) }
  }

  private mutating func add(_ amount: Amount) {
    switch amount {
    case .count: note(.count)
    case .share: note(.share)
    }
  }

  private mutating func add(_ probe: ProbeDefinition) {
    switch probe.question {
    case .http: note(.http)
    case .https: note(.https)
    case .tcp: note(.tcp)
    }
    for field in probe.expect.json {
      switch field.value {
      case .text: note(.text)
      case .number: note(.number)
      case .flag: note(.flag)
      case .null: note(.null)
      }
    }
  }

  private mutating func add(_ dependency: Dependency) {
    switch dependency {
    case .command(_, let version): note(.needsCommand); add(version)
    case .diskFree: note(.needsDisk)
    case .memoryFree: note(.needsMemory)
    case .portFree: note(.needsPort)
    case .tcp: note(.needsTCP)
    case .http: note(.needsHTTP)
    case .file: note(.needsFile)
    case .pythonModule(_, _, let version): note(.needsPythonModule); add(version)
    }
  }

  private mutating func add(_ bound: VersionBound?) {
    for clause in bound?.clauses ?? [] {
      switch clause.comparison {
      case .atLeast: note(.atLeast)
      case .atMost: note(.atMost)
      case .above: note(.above)
      case .below: note(.below)
      case .equal: note(.equal)
      case .notEqual: note(.notEqual)
      }
    }
  }
}
