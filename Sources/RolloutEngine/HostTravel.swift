import RolloutModel

/// How one host travels: what the outcome of each step leads to.
extension RolloutEngine {
  /// How long a host that was begun may be silent before it is given up: time for most machines to reboot.
  static let longestSilence = Span.seconds(300)
  /// The same where so many hosts fell silent together that the controller's own network is suspected, or where the
  /// controller's machine is at fault.
  static let longestShared = Span.seconds(3600)
  /// Hosts that were begun and fell silent one after the other, no other answering meanwhile, that make a network suspect.
  static let suspiciousSilence = 3
  /// Lost connections in a row after which a host that was not begun is given up.
  static let mostLost = 8
  /// How long after a fault of something shared a host that is not fit to begin with is taken for a part of it.
  static let sharedEcho = Span.seconds(600)
  /// Attempts to reach a host that was not begun.
  static let mostUnreachable = 2
  /// Attempts to restore a host before it is quarantined; with the backoff they take a quarter of a minute at least.
  static let mostRestores = 6
  /// Attempts to start a host's retention.
  static let mostRetains = 3
  /// Times that a host is begun anew because no confirm reached it.
  static let mostUnconfirmed = 2
  /// Times that a host that was begun has to be asked anew how it stands, in all, before it is given up and undone: a fault that
  /// comes back at the same step must not keep a rollout from its end.
  static let mostSetbacks = 32

  mutating func conclude(_ host: Int, _ outcome: StepOutcome) {
    guard let step = hosts[host].step else { return }
    let outcome = step.canEnd(in: outcome) ? outcome : .failed(.misplaced(outcome, step))
    hear(host, outcome)
    if case .retain = step {
      concludeRetain(host, outcome)
      return
    }
    if let undo = hosts[host].undo, !isRestore(step) {
      clearStep(host)
      undoWanted(host, undo, outcome)
      return
    }
    switch outcome {
    case .failed(let failure): fail(host, step, failure)
    case .cancelled: fail(host, step, StepFailure(.lost, "the \(step.word) step was ended early"))
    case .standing(let standing): stand(host, standing)
    case .cleared(let result): cleared(host, result)
    case .staged: perform(host, .start)
    case .started(let bootID, let invocation):
      hosts[host].known.bootID = bootID
      hosts[host].known.invocation = invocation
      perform(host, .gate)
    case .gatePassed(let moment): perform(host, .flip(gatePassed: moment))
    case .flipped: perform(host, .prove)
    case .proven: perform(host, .confirm)
    case .confirmed: perform(host, .soak(soak(of: host)))
    case .soaked: perform(host, .promote)
    case .promoted: promote(host)
    case .restored: restored(host)
    case .retained: clearStep(host)
    }
  }

  /// Whether a host answers says something of it, and of the way there that all share.
  private mutating func hear(_ host: Int, _ outcome: StepOutcome) {
    switch outcome {
    case .cancelled: break
    case .failed(let failure):
      switch failure.kind {
      case .lost, .unreachable:
        guard hosts[host].touched, hosts[host].silentIn != silence else { return }
        hosts[host].silentIn = silence
        silent += 1
      // A gate may fail for want of a way to the host: that is no sign of life.
      case .gate, .shared, .overruled: break
      case .changed, .host, .precondition, .undone, .quarantined, .leaseLost, .busy: breakSilence()
      }
    default:
      hosts[host].lost = 0
      hosts[host].lostSince = nil
      breakSilence()
    }
  }

  private mutating func breakSilence() {
    guard silent > 0 else { return }
    silent = 0
    silence += 1
  }

  private func isRestore(_ step: HostStep) -> Bool {
    if case .restore = step { true } else { false }
  }

  private func isStage(_ step: HostStep) -> Bool {
    if case .stage = step { true } else { false }
  }

  private func soak(of host: Int) -> Span { plan.waves[waveOf(host)].soak }

  private mutating func cleared(_ host: Int, _ result: PreflightResult) {
    preconditionFailures = 0
    hosts[host].known.architecture = result.architecture
    hosts[host].known.release = result.release
    hosts[host].known.from = result.from
    hosts[host].known.fromVersion = result.fromVersion
    hosts[host].known.candidate = result.candidate
    hosts[host].known.isStopped = result.isStopped
    guard !result.isLive else {
      hosts[host].reason = "this release was live already"
      end(host, .promoted)
      return
    }
    hosts[host].touched = true
    perform(host, .stage(again: hosts[host].again || plan.again != nil))
  }

  /// Where a host stands decides with which step it goes on.
  private mutating func stand(_ host: Int, _ standing: HostStanding) {
    switch standing {
    case .untouched:
      // Much may have changed since the preflight, and a flip's name is used once. It starts anew, so a pause holds it.
      if mode == .running { begin(host) } else { returnToPending(host) }
    case .candidateRuns(let bootID, let invocation):
      hosts[host].known.bootID = bootID
      hosts[host].known.invocation = invocation
      perform(host, .gate)
    case .armed: perform(host, .prove)
    case .confirmed(let bootID, let invocation):
      hosts[host].known.bootID = bootID
      hosts[host].known.invocation = invocation
      perform(host, .soak(soak(of: host)))
    case .promoted: promote(host)
    case .ahead(let flip, let tries, let isOver):
      // What the host has done counts, whoever asked for it: another flip beside it would undo a version that serves.
      hosts[host].tries = max(hosts[host].tries, tries)
      if isOver {
        stand(host, .untouched)
      } else {
        hosts[host].known.flip = flip
        hosts[host].touched = true
        guard bearSetback(host, "the host names ever later flips, at last \(flip)") else { return }
        perform(host, .reconcile, after: backoff(1))
      }
    case .undoneByOrder(let why):
      // Whether the release was to blame is what the one who ordered it has judged: where it was, the host refuses it now.
      guard bearSetback(host, "the flip is undone by other controllers again and again: \(why)") else {
        return
      }
      hosts[host].reason = "begun anew: \(why)"
      returnToPending(host)
    case .undone(let unconfirmed, let why):
      if unconfirmed, hosts[host].unconfirmed < Self.mostUnconfirmed {
        // The controller's failure, not the release's: no budget is spent.
        hosts[host].unconfirmed += 1
        hosts[host].reason = "begun anew: \(why)"
        returnToPending(host)
      } else {
        giveUp(host, StepFailure(.undone, why), refuse: !unconfirmed)
      }
    case .quarantined(let why):
      hosts[host].reason = why
      end(host, .quarantined)
      charge(host)
    }
  }

  /// Counts one more time that a host is not as it should be by nobody's fault here; false where that was once too often.
  private mutating func bearSetback(_ host: Int, _ why: String) -> Bool {
    hosts[host].setbacks += 1
    guard hosts[host].setbacks > Self.mostSetbacks else { return true }
    giveUp(host, StepFailure(.host, why), refuse: false)
    return false
  }

  private mutating func promote(_ host: Int) {
    hosts[host].reason = ""
    hosts[host].lastLines = []
    hosts[host].known.isPromoted = true
    end(host, .promoted)
  }

  private mutating func restored(_ host: Int) {
    let comesBack = hosts[host].comesBack && isGoingOn
    hosts[host].comesBack = false
    if comesBack, !hosts[host].leaveOut {
      returnToPending(host)
    } else {
      end(host, hosts[host].leaveOut ? .skipped : .restored)
    }
  }

  mutating func returnToPending(_ host: Int) {
    clearStep(host)
    enter(host, .pending)
    requeued.append(host)
  }

  private mutating func fail(_ host: Int, _ step: HostStep, _ failure: StepFailure) {
    hosts[host].lastLines = failure.lastLines
    if failure.kind == .shared { sharedAt = now }
    switch failure.kind {
    // A host that is not fit so soon after a fault of something shared is taken for a part of it.
    case .precondition where isEchoOfShared: failShared(host, step, failure)
    case .unreachable where !hosts[host].touched: failUnreachable(host, failure)
    case .unreachable, .lost: failLost(host, step, failure)
    case .changed: failChanged(host, step, failure)
    case .undone where isRestore(step): failRestore(host, step, failure)
    case .undone:
      // The host says what it did when it is asked.
      askAnew(host, failure, after: .zero)
    case .quarantined:
      hosts[host].reason = text(of: failure)
      end(host, .quarantined)
      charge(host)
    // A controller that is overruled is stopped before it says so here.
    case .leaseLost, .overruled:
      hosts[host].reason = text(of: failure)
      if isStage(step) { hosts[host].touched = false }
      end(host, hosts[host].touched ? .quarantined : .failed)
      charge(host)
    case .shared: failShared(host, step, failure)
    case .precondition where !hosts[host].touched || isStage(step):
      hosts[host].touched = false
      failPrecondition(host, failure)
    case .host, .gate, .busy, .precondition:
      if isRestore(step) {
        failRestore(host, step, failure)
      } else if hosts[host].touched {
        giveUp(host, failure, refuse: isToBlame(step, failure))
      } else {
        hosts[host].reason = text(of: failure)
        end(host, .failed)
        charge(host)
      }
    }
  }

  /// Whether the release is at fault: only one that was started can be, and not for what the host lacks.
  private func isToBlame(_ step: HostStep, _ failure: StepFailure) -> Bool {
    switch step {
    case .preflight, .stage, .reconcile, .restore, .retain: false
    case .start, .gate, .flip, .prove, .confirm, .soak, .promote: failure.kind != .precondition
    }
  }

  private mutating func failUnreachable(_ host: Int, _ failure: StepFailure) {
    hosts[host].lost += 1
    hosts[host].reason = text(of: failure)
    if hosts[host].lost < Self.mostUnreachable {
      perform(host, .preflight, after: backoff(hosts[host].lost))
    } else {
      end(host, .unreachable)
      chargeUnreachable()
    }
  }

  private mutating func failLost(_ host: Int, _ step: HostStep, _ failure: StepFailure) {
    hosts[host].lost += 1
    hosts[host].reason = text(of: failure)
    guard hosts[host].touched else {
      if hosts[host].lost <= Self.mostLost {
        askAnew(host, failure, after: backoff(hosts[host].lost))
      } else {
        end(host, .unreachable)
        chargeUnreachable()
      }
      return
    }
    let isSuspect = silent >= Self.suspiciousSilence
    if isSuspect {
      pause("\(silent) hosts fell silent one after the other: see to the controller's own network first")
    }
    guard isPatient(host, isSuspect ? Self.longestShared : Self.longestSilence) else {
      end(host, .unreachable)
      charge(host)
      return
    }
    let delay = backoff(hosts[host].lost)
    if isRestore(step) {
      perform(host, step, after: delay)
    } else {
      askAnew(host, failure, after: delay)
    }
  }

  /// The host answers, and something came between: it was rebooted, or undoes the flip by itself just now.
  private mutating func failChanged(_ host: Int, _ step: HostStep, _ failure: StepFailure) {
    hosts[host].lost += 1
    hosts[host].reason = text(of: failure)
    let delay = backoff(hosts[host].lost)
    if isRestore(step) {
      guard isPatient(host, Self.longestSilence) else {
        end(host, .quarantined)
        charge(host)
        return
      }
      perform(host, step, after: delay)
    } else if hosts[host].touched, !isPatient(host, Self.longestSilence) {
      giveUp(host, failure, refuse: false)
    } else if hosts[host].touched || hosts[host].lost <= Self.mostLost {
      askAnew(host, failure, after: delay)
    } else {
      end(host, .failed)
      charge(host)
    }
  }

  /// Whether the host has not been silent for longer than this.
  private mutating func isPatient(_ host: Int, _ span: Span) -> Bool {
    let since = hosts[host].lostSince ?? now
    hosts[host].lostSince = since
    return now.since(since) <= span
  }

  /// How the host stands is not known: it is asked, and goes on from there.
  private mutating func askAnew(_ host: Int, _ failure: StepFailure, after delay: Span) {
    // A host that stays silent is given up by the clock; one that answers in between, by the count.
    if hosts[host].step != .reconcile { hosts[host].setbacks += 1 }
    if !hosts[host].touched {
      perform(host, .preflight, after: delay)
    } else if hosts[host].setbacks > Self.mostSetbacks {
      giveUp(host, failure, refuse: false)
    } else {
      perform(host, .reconcile, after: delay)
    }
  }

  private var isEchoOfShared: Bool { sharedAt.map { now.since($0) <= Self.sharedEcho } ?? false }

  /// Something that all hosts share has failed: nobody's release is at fault, and no budget is spent.
  private mutating func failShared(_ host: Int, _ step: HostStep, _ failure: StepFailure) {
    pause("\(plan.hosts[host].name): \(text(of: failure))")
    hosts[host].reason = text(of: failure)
    hosts[host].sharedFaults += 1
    let delay = backoff(hosts[host].sharedFaults)
    switch step {
    case .preflight, .stage: returnToPending(host)
    case .start, .gate:
      // The old side has traffic: the candidate makes room until somebody has put right what is wrong.
      hosts[host].comesBack = true
      hosts[host].failedRestores = 0
      perform(host, .restore(refuse: false, reason: failure.reason))
    case .flip, .prove, .confirm, .soak, .promote, .reconcile, .restore, .retain:
      // One that comes after a long quiet is another fault, with a patience of its own.
      if let seen = hosts[host].sharedSeen, now.since(seen) > Self.longestShared {
        hosts[host].sharedSince = nil
      }
      hosts[host].sharedSeen = now
      let since = hosts[host].sharedSince ?? now
      hosts[host].sharedSince = since
      guard now.since(since) <= Self.longestShared else {
        // Nobody's release is at fault, so nothing is charged; a person must look at the host.
        end(host, .quarantined)
        return
      }
      perform(host, isRestore(step) ? step : .reconcile, after: delay)
    }
  }

  private mutating func failPrecondition(_ host: Int, _ failure: StepFailure) {
    preconditionFailures += 1
    hosts[host].reason = text(of: failure)
    end(host, .failed)
    if preconditionFailures >= 3 {
      // Something that many hosts need is down: nobody's release is at fault, and no budget is spent.
      pause("preconditions fail on \(preconditionFailures) hosts one after the other: \(text(of: failure))")
    } else {
      charge(host)
    }
  }

  private mutating func failRestore(_ host: Int, _ step: HostStep, _ failure: StepFailure) {
    hosts[host].failedRestores += 1
    hosts[host].reason = text(of: failure)
    if hosts[host].failedRestores < Self.mostRestores {
      perform(host, step, after: backoff(hosts[host].failedRestores))
    } else if hosts[host].comesBack, isGoingOn {
      // It made room for a fault of something shared, and traffic was never moved. As long as that fault lasts the old side
      // can't be seen healthy either: nobody is to blame, and the host is asked how it stands once somebody resumes.
      hosts[host].comesBack = false
      hosts[host].asksFirst = true
      returnToPending(host)
    } else {
      end(host, .quarantined)
      charge(host)
    }
  }

  /// The host has failed: it's charged, and undone.
  private mutating func giveUp(_ host: Int, _ failure: StepFailure, refuse: Bool) {
    hosts[host].reason = text(of: failure)
    hosts[host].failedRestores = 0
    hosts[host].lost = 0
    hosts[host].lostSince = nil
    hosts[host].comesBack = false
    perform(host, .restore(refuse: refuse, reason: failure.reason))
    if refuse { isReleaseBlamed = true }
    charge(host)
  }

  /// The rollout wanted the host undone, and its step has come to an end.
  mutating func undoWanted(_ host: Int, _ undo: HostRun.Undo, _ outcome: StepOutcome) {
    hosts[host].undo = nil
    var undo = undo
    if case .failed(let failure) = outcome, failure.kind == .gate { undo.refuse = true }
    if case .failed(let failure) = outcome, failure.kind == .quarantined {
      hosts[host].reason = text(of: failure)
      end(host, .quarantined)
    } else if hosts[host].touched {
      beginRestore(host, undo)
    } else if hosts[host].leaveOut {
      end(host, .skipped)
    } else {
      enter(host, .pending)
    }
  }

  mutating func beginRestore(_ host: Int, _ undo: HostRun.Undo) {
    hosts[host].failedRestores = 0
    hosts[host].lost = 0
    hosts[host].lostSince = nil
    hosts[host].comesBack = false
    if hosts[host].reason.isEmpty || !hosts[host].isCharged { hosts[host].reason = undo.reason }
    perform(host, .restore(refuse: undo.refuse, reason: undo.reason))
  }

  /// Retention that could not be started is told, and leaves the host promoted: its old slot is simply kept.
  private mutating func concludeRetain(_ host: Int, _ outcome: StepOutcome) {
    if case .failed(let failure) = outcome {
      hosts[host].lost += 1
      if hosts[host].undo == nil, hosts[host].lost < Self.mostRetains,
        [.lost, .unreachable, .changed].contains(failure.kind)
      {
        perform(host, .retain, after: backoff(hosts[host].lost))
        return
      }
      hosts[host].reason = "promoted; the old slot is kept until told otherwise: \(text(of: failure))"
    }
    hosts[host].isRetained = true
    clearStep(host)
    if let undo = hosts[host].undo {
      hosts[host].undo = nil
      beginRestore(host, undo)
    }
  }

  mutating func end(_ host: Int, _ phase: HostPhase) {
    clearStep(host)
    hosts[host].undo = nil
    hosts[host].comesBack = false
    enter(host, phase)
  }

  func text(of failure: StepFailure) -> String {
    failure.hint.isEmpty ? failure.reason : "\(failure.reason); \(failure.hint)"
  }
}
