import RolloutModel
import Testing

/// Chance from a seed.
struct Dice: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

/// A host as it really is, whatever the engine believes.
struct FakeHost {
  enum Place: Equatable {
    case old, staged, running, armed, confirmed, promoted
    case undone(unconfirmed: Bool)
    case quarantined
  }

  var place = Place.old
  /// The release was rolled back here by a gate or a person.
  var refuses = false
  /// The release was live before.
  var wasLive = false
}

/// Hosts that do what they are told, badly, as long as there are faults.
struct FakeWorld {
  struct Job {
    var host: Int
    var attempt: Int
    var step: HostStep
    var known: HostKnowledge
    var isDelayed: Bool
    var isCancelled = false
  }

  var hosts: [FakeHost]
  var jobs: [Job] = []
  /// How many steps of a hundred go wrong.
  var faults: Int
  var dice: Dice

  /// Ends any step, perhaps badly.
  mutating func endOne(now: Moment) -> (host: Int, attempt: Int, outcome: StepOutcome)? {
    guard !jobs.isEmpty else { return nil }
    let job = jobs.remove(at: Int.random(in: jobs.indices, using: &dice))
    return (job.host, job.attempt, outcome(of: job, now: now))
  }

  /// The controller dies: steps under way had their effect or not.
  mutating func crash(now: Moment) {
    let lost = jobs
    jobs = []
    for job in lost where dice.chance(50) { _ = outcome(of: job, now: now) }
  }

  /// Hosts undo flips by themselves, for want of a confirm or because the candidate failed.
  mutating func stir() {
    guard dice.chance(faults / 4) else { return }
    let host = Int.random(in: hosts.indices, using: &dice)
    switch hosts[host].place {
    case .armed: hosts[host].place = .undone(unconfirmed: true)
    case .confirmed: hosts[host].place = .undone(unconfirmed: false)
    default: break
    }
  }

  private mutating func outcome(of job: Job, now: Moment) -> StepOutcome {
    if job.isCancelled, job.isDelayed || ["gate", "prove", "soak"].contains(job.step.word) {
      return .cancelled
    }
    if dice.chance(faults) {
      switch Int.random(in: 0..<8, using: &dice) {
      case 0: return .failed(StepFailure(.unreachable, "no way there"))
      case 1, 2:
        // Lost before or after it had its effect.
        if dice.chance(50) { _ = done(job, now) }
        return .failed(StepFailure(.lost, "the connection was lost"))
      case 3: return .failed(StepFailure(.host, "the host failed"))
      case 4 where ["gate", "prove", "soak"].contains(job.step.word):
        return .failed(StepFailure(.gate, "sick"))
      case 4 where job.step == .preflight: return .failed(StepFailure(.precondition, "no disk"))
      case 5 where dice.chance(20): return .failed(StepFailure(.shared, "our disk"))
      case 6 where dice.chance(20) && job.step.word != "retain":
        return .failed(StepFailure(.leaseLost, "somebody else"))
      case 7 where dice.chance(20) && hosts[job.host].place != .old && job.step != .retain:
        hosts[job.host].place = .quarantined
        return .failed(StepFailure(.quarantined, "can't undo"))
      default: break
      }
    }
    return done(job, now)
  }

  /// What a sound host makes of a step.
  private mutating func done(_ job: Job, _ now: Moment) -> StepOutcome {
    let host = job.host
    if hosts[host].place == .quarantined, job.step != .preflight {
      return job.step == .reconcile
        ? .standing(.quarantined(reason: "can't undo")) : .failed(StepFailure(.quarantined, "can't undo"))
    }
    switch job.step {
    case .preflight: return preflight(job)
    case .stage(let again):
      if again { hosts[host].refuses = false }
      guard !hosts[host].refuses else { return .failed(StepFailure(.host, "refused before")) }
      return move(
        host, from: [.old, .staged, .undone(unconfirmed: true), .undone(unconfirmed: false)], to: .staged,
        .staged)
    case .start:
      return move(host, from: [.staged, .running], to: .running, .started(bootID: "b", invocation: "i"))
    case .gate: return move(host, from: [.running], to: .running, .gatePassed(now))
    case .flip: return move(host, from: [.running, .armed], to: .armed, .flipped)
    case .prove: return move(host, from: [.armed], to: .armed, .proven)
    case .confirm: return move(host, from: [.armed, .confirmed], to: .confirmed, .confirmed)
    case .soak: return move(host, from: [.confirmed], to: .confirmed, .soaked(samples: 9))
    case .promote: return move(host, from: [.confirmed, .promoted], to: .promoted, .promoted)
    case .restore(let refuse, _):
      hosts[host].place = .old
      if refuse { hosts[host].refuses = true }
      return .restored
    case .reconcile: return .standing(standing(hosts[host].place))
    case .retain:
      return hosts[host].place == .promoted ? .retained : .failed(StepFailure(.host, "not promoted"))
    }
  }

  private func preflight(_ job: Job) -> StepOutcome {
    let host = hosts[job.host]
    if host.place == .quarantined { return .failed(StepFailure(.precondition, "quarantined")) }
    if host.refuses, !job.known.again { return .failed(StepFailure(.precondition, "refused before")) }
    guard let digest = Digest(String(repeating: "ab", count: 32)) else {
      return .failed(StepFailure(.shared, "no digest"))
    }
    return .cleared(
      PreflightResult(
        architecture: "x86_64", release: digest, from: .blue, fromVersion: "1", candidate: .green,
        isLive: host.wasLive))
  }

  private mutating func move(
    _ host: Int, from: [FakeHost.Place], to place: FakeHost.Place, _ outcome: StepOutcome
  ) -> StepOutcome {
    guard from.contains(hosts[host].place) else {
      if case .undone = hosts[host].place { return .failed(StepFailure(.undone, "undone by itself")) }
      return .failed(StepFailure(.host, "\(hosts[host].place) is not \(from)"))
    }
    hosts[host].place = place
    return outcome
  }

  private func standing(_ place: FakeHost.Place) -> HostStanding {
    switch place {
    case .old, .staged: .untouched
    case .running: .candidateRuns(bootID: "b", invocation: "i")
    case .armed: .armed
    case .confirmed: .confirmed(bootID: "b", invocation: "i")
    case .promoted: .promoted
    case .undone(let unconfirmed): .undone(unconfirmed: unconfirmed, reason: "undone by itself")
    case .quarantined: .quarantined(reason: "can't undo")
    }
  }
}
