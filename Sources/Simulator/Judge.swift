import HostMachine
import RolloutEngine
import RolloutModel

/// Checks the promises as things happen. What it knows of a host is what was seen there, not what a controller believes.
final class Judge {
  /// What was seen of one host.
  private struct Seen {
    /// Healthy answers in a row that the candidate gave a controller on its own port, and of which run.
    var streaks: [String: (length: Int, run: String)] = [:]
    /// The last gate that passed rightly: of which run, and when.
    var provenRun = ""
    var provenAt = Int64.min
    /// Healthy answers in a row that a controller got from outside through the public port since the flip.
    var outside: [String: Int] = [:]
    /// The same in the soak.
    var soaked = 0
    var confirmedAt: Int64?
    var isInFlight = false
    var wasFinal = false
    /// Since when the firewall shows another owner than the record.
    var strayedAt: Int64?
    var isPermitted = false
    /// The highest attempt whose intent is durable.
    var durableAttempt = 0
    /// Whether it is looked at again and again until it is in order.
    var isWatched = false
  }

  /// What a host adds to the sums that a start is held to.
  private struct Share: Hashable {
    /// It has failed, by itself.
    var isFailed = false
    /// It is not at its end, and its wave has to wait for it.
    var isOpen = true
    /// It is on its way forward.
    var isFlying = false
  }

  private let plan: Plan
  /// Whether nothing can be wrong but what all hosts share: then no host may be charged, and none undone for it.
  private let isOnlyShared: Bool
  let newDigest: Digest
  /// When the first failure of a host that the release is bad on was seen, clients having met it before.
  private(set) var failureSeenAt: Int64?
  /// Hosts that the release is bad on and whose clients have met it.
  var isMet: (Int) -> Bool = { _ in false }
  private var seen: [Seen]
  private var inFlight = 0
  private(set) var breaches: [Breach] = []
  /// The most hosts that may be in flight in the waves so far.
  private var allowed = 0
  private var pausedAt: Int64?
  /// Hosts whose traffic is not where it is to be, or not for long.
  private var watched: [SimulatedHost] = []
  private var shares: [Share]
  private var failedByWave: [Int]
  private var openByWave: [Int]
  private var flying = 0
  private var counted = 0
  /// The engine as the durable events alone make it.
  private var shadow: RolloutEngine
  private var preconditions = 0
  private var excused: Set<Int> = []
  private var retried: Set<Int> = []
  private let hooks: HookJudge
  var now: () -> Int64 = { 0 }
  /// One controller a rollout is what its lock is for: two without it may begin more hosts than one would.
  var hasTwoControllers = false
  /// Whether the world shows the firewall as the guard leaves it.
  private static let guardSecond: Int64 = 1000

  /// Holds a rollout to `plan`; `enginePlan` is what its engine was given.
  init(plan: Plan, enginePlan: Plan, newDigest: Digest, isOnlyShared: Bool) {
    self.plan = plan
    self.isOnlyShared = isOnlyShared
    self.newDigest = newDigest
    shadow = RolloutEngine(plan: enginePlan)
    seen = plan.hosts.map { _ in Seen() }
    hooks = HookJudge(plan)
    shares = plan.hosts.map { _ in Share() }
    failedByWave = plan.waves.map { _ in 0 }
    openByWave = failedByWave
    for host in plan.hosts.indices { openByWave[wave(of: host)] += 1 }
  }

  func fail(_ promise: Promise, _ what: @autoclosure () -> String) {
    guard breaches.count < 8, !breaches.contains(where: { $0.promise == promise }) else { return }
    breaches.append(Breach(promise: promise, what: "at \(now()): \(what())"))
  }

  // MARK: On the hosts

  /// Traffic is being moved.
  func moving(_ host: SimulatedHost, to side: Side?) {
    guard let side, side != host.traffic else { return }
    if !host.serves(side), let old = host.traffic, host.serves(old) {
      fail(
        .livingSide,
        "h\(host.index): traffic goes from \(old.rawValue), which answers, to \(side.rawValue), which does not"
      )
    }
    // What the guard puts back after a flush was flipped before.
    guard let flip = host.disk?.flip, flip.to == side, flip.phase == .armed, host.traffic == flip.from,
      isOurs(host)
    else { return }
    let run = host[side].invocation
    let isProven = seen[host.index].provenRun == run && now() - seen[host.index].provenAt <= 61_000
    if !isProven {
      fail(.gatedFlip, "h\(host.index): flipped to run \(run), which no gate has proved in the last minute")
    }
  }

  /// A running side is being stopped.
  func stopping(_ host: SimulatedHost, _ side: Side) {
    if host.traffic == side, host.serves(side) {
      fail(.livingSide, "h\(host.index): \(side.rawValue) is stopped while it serves")
    }
    if isKept(host, side) {
      fail(.oldSideRunnable, "h\(host.index): \(side.rawValue) is stopped while it is kept")
    }
  }

  func written(_ host: SimulatedHost, _ slot: Slot, _ release: IdentifiedRelease) {
    if isKept(host, Side(slot)) {
      fail(.oldSideRunnable, "h\(host.index): \(slot.rawValue) is written while it is kept")
    }
    if !host.store.contains(release.digest) {
      fail(.digest, "h\(host.index): \(release.digest.short) is put into \(slot.rawValue) and was not staged")
    }
  }

  func emptied(_ host: SimulatedHost, _ slot: Slot) {
    if isKept(host, Side(slot)) {
      fail(.oldSideRunnable, "h\(host.index): \(slot.rawValue) is emptied while it is kept")
    }
  }

  func started(_ host: SimulatedHost, _ side: Side) {
    guard let slot = side.slot else { return }
    let recorded = host.disk?[slot]?.release.digest
    if host[side].release?.digest != recorded {
      fail(.digest, "h\(host.index): \(slot.rawValue) starts another release than is recorded")
    }
    if let floor = host.floor, let release = host[side].release,
      release.digest != host.disk?.lastGood?.digest,
      release.manifest.version.isBelow(floor)
    {
      fail(.floor, "h\(host.index): \(release.manifest.version) starts below the floor \(floor)")
    }
    if host[side].release?.digest == newDigest, host.disk?.refused.contains(newDigest) == true,
      host.disk?.owner != side
    {
      fail(.refusal, "h\(host.index): the release starts although it was refused")
    }
  }

  func persisted(_ host: SimulatedHost, from old: AgentRecord?, to new: AgentRecord) {
    let isForgotten = old?.refused.contains { !new.refused.contains($0) } ?? false
    if isForgotten, !seen[host.index].isPermitted {
      fail(.refusal, "h\(host.index): what was refused is forgotten")
    }
    if let old, new.revision <= old.revision {
      fail(.twice, "h\(host.index): revision \(new.revision) follows \(old.revision)")
    }
    if new.flip?.phase == .confirmed, old?.flip?.phase == .armed, isOurs(host) {
      seen[host.index].confirmedAt = now()
      seen[host.index].soaked = 0
      let outside = seen[host.index].outside.values.max() ?? 0
      if outside < max(plan.policy.gate.successes, 1) {
        fail(.gatedFlip, "h\(host.index): confirmed after \(outside) answers from outside")
      }
    }
    if new.flip?.phase == .promoted, old?.flip?.phase == .confirmed, isOurs(host) { checkSoak(host) }
    if new.flip?.phase == .armed, old?.flip?.phase != .armed {
      seen[host.index].outside = [:]
      seen[host.index].confirmedAt = nil
    }
  }

  private func checkSoak(_ host: SimulatedHost) {
    let soak = plan.waves.last(where: { $0.first <= host.index })?.soak ?? .zero
    guard soak > .zero else { return }
    let length = now() - (seen[host.index].confirmedAt ?? now())
    if length < soak.milliseconds || seen[host.index].soaked < plan.policy.gate.successes {
      fail(
        .waves,
        "h\(host.index): promoted after \(length) ms of soak and \(seen[host.index].soaked) healthy answers")
    }
  }

  /// After each operation on a host.
  func look(at host: SimulatedHost) {
    if isFinal(host) { seen[host.index].wasFinal = true }
    // What was promoted may be rolled back all at once.
    let isInFlight = isOurs(host) && holdsNew(host) && !seen[host.index].wasFinal
    if isInFlight != seen[host.index].isInFlight {
      seen[host.index].isInFlight = isInFlight
      inFlight += isInFlight ? 1 : -1
      if inFlight > allowed, allowed > 0, !hasTwoControllers {
        fail(.batch, "\(inFlight) hosts hold the new release unproved, \(allowed) may")
      }
    }
    watch(host)
  }

  /// What must not last.
  func watch(_ host: SimulatedHost) {
    guard host.isUp else {
      seen[host.index].strayedAt = nil
      return
    }
    // A flip that was cut off before traffic moved is finished or undone by whoever asks next; the old side serves.
    let isCutOff = host.disk?.flip?.phase == .armed && host.traffic == host.disk?.flip?.from
    if isAstray(host), host.disk?.flip?.phase != .reverting, !isCutOff {
      let since = seen[host.index].strayedAt ?? now()
      seen[host.index].strayedAt = since
      if now() - since > 30_000 {
        fail(
          .oneOwner,
          "h\(host.index): traffic is with \(host.traffic?.rawValue ?? "nobody") and not with \(host.disk?.owner?.rawValue ?? "nobody") for \(now() - since) ms"
        )
      }
    } else {
      seen[host.index].strayedAt = nil
    }
    if let flip = host.disk?.flip, flip.phase == .armed, flip.bootID == host.bootID,
      flip.deadline.milliseconds + 60_000 < host.clock.moment.milliseconds
    {
      fail(.unconfirmed, "h\(host.index): flip \(flip.flip) stands unconfirmed a minute after its deadline")
    }
  }

  /// A host's traffic or record has changed. Few hosts are in disorder at a time, so that looking at them again and again does
  /// not cost more in a large fleet.
  func touched(_ host: SimulatedHost) {
    guard !seen[host.index].isWatched, isInDisorder(host) else { return }
    seen[host.index].isWatched = true
    watched.append(host)
  }

  /// Looks again at the hosts that were in disorder when they were looked at last.
  func lookAgain() {
    watched.removeAll { host in
      watch(host)
      let isDone = !isInDisorder(host)
      if isDone { seen[host.index].isWatched = false }
      return isDone
    }
  }

  private func isAstray(_ host: SimulatedHost) -> Bool { host.traffic != host.disk?.owner }

  private func isInDisorder(_ host: SimulatedHost) -> Bool {
    isAstray(host) || host.disk?.flip?.phase == .armed
  }

  private func isKept(_ host: SimulatedHost, _ side: Side) -> Bool {
    guard let record = host.disk, record.retained == side, isOurs(host) else { return false }
    return record.retention == nil && record.flip?.phase != .reverted && record.lease != nil
  }

  private func isOurs(_ host: SimulatedHost) -> Bool {
    host.disk?.flip?.flip.hasPrefix(plan.id) ?? false || host.disk?.lease?.reason == "rollout \(plan.id)"
  }

  private func holdsNew(_ host: SimulatedHost) -> Bool {
    guard let record = host.disk else { return false }
    if let flip = record.flip, flip.release == newDigest, flip.phase != .promoted, flip.phase != .reverted {
      return true
    }
    return Slot.allCases.contains { slot in
      record[slot]?.release.digest == newDigest && record.owner != Side(slot)
        && !record.drains.contains { $0.side == Side(slot) && $0.empties }
    }
  }

  private func isFinal(_ host: SimulatedHost) -> Bool {
    host.disk?.flip?.release == newDigest && host.disk?.flip?.phase == .promoted
  }

  // MARK: What is asked and answered

  func asked(_ host: SimulatedHost, _ order: AgentOrder, by controller: SimulatedController) {
    if case .clear = order { seen[host.index].isPermitted = true }
  }

  func answered(
    _ host: SimulatedHost, _ order: AgentOrder, _ answer: AgentAnswer, before: AgentRecord?,
    by controller: SimulatedController
  ) {
    if case .clear = order {
      seen[host.index].isPermitted = false
      if case .status = answer { host.floor = nil }
    }
    guard let key = order.key, let lease = before?.lease, lease.key != key else { return }
    // An overdue undo comes before anything that is asked.
    guard before?.flip?.phase != .armed, before?.flip?.phase != .reverting else { return }
    if host.disk != before {
      fail(
        .epoch,
        "h\(host.index): \(order) of epoch \(key.epoch) changed the host under epoch \(lease.key.epoch)")
    }
  }

  func sampled(
    _ host: SimulatedHost, _ side: Side?, isOutside: Bool, port: Int, health: SimulatedHost.Health,
    _ outcome: Sample.Outcome, by controller: String
  ) {
    let isGood = outcome == .healthy && health == .healthy(version: plan.release.version.text)
    if !isOutside, let side, host[side].release?.digest == newDigest {
      let run = host[side].invocation
      let before = seen[host.index].streaks[controller]
      let length = before?.run == run ? before?.length ?? 0 : 0
      seen[host.index].streaks[controller] = (isGood ? length + 1 : 0, run)
    }
    if isOutside, port == plan.agent.publicPort {
      seen[host.index].outside[controller] = isGood ? (seen[host.index].outside[controller] ?? 0) + 1 : 0
      if isGood { seen[host.index].soaked += 1 }
    }
  }

  // MARK: The controller

  func concluded(_ host: SimulatedHost, _ step: HostStep, _ outcome: StepOutcome, by controller: String) {
    guard case .gatePassed = outcome else { return }
    let streak = seen[host.index].streaks[controller] ?? (0, "")
    if streak.length < max(plan.policy.gate.successes, 1) {
      fail(
        .unknownIsNotHealthy,
        "h\(host.index): the gate passed after \(streak.length) right answers in a row")
    } else {
      seen[host.index].provenRun = streak.run
      seen[host.index].provenAt = now()
    }
  }

  /// A person has said to pause.
  func paused() { pausedAt = pausedAt ?? now() }

  /// These entries have become durable: what was decided is held to what was known just then.
  func appended(_ entries: [JournalEntry]) {
    for entry in entries {
      switch entry {
      case .plan: break
      case .event(let event): take(event)
      case .intent(.perform(let host, let attempt, let step, _, let delay)):
        seen[host].durableAttempt = max(seen[host].durableAttempt, attempt)
        // With a delay it is another try of a host that was begun before.
        guard step == .preflight, delay == .zero else { continue }
        let place = wave(of: host)
        allowed = max(allowed, plan.waves[place].batch)
        checkStart(host, wave: place)
      case .intent(.runHook(let run, _)):
        hooks.isDurable(run)
        // The wave is open from here on: its batch holds for hosts of earlier ones too that a person wants tried again.
        allowed = max(allowed, plan.waves[run.wave].batch)
        checkPause("\(run.hook.rawValue) of wave \(run.wave)")
        checkWaves(
          before: run.hook == .beforeWave ? run.wave : run.wave + 1,
          "\(run.hook.rawValue) of wave \(run.wave)")
      case .intent, .playbook: break
      }
    }
    if allowed > 0, flying > allowed {
      fail(.batch, "\(flying) hosts are on their way, \(allowed) may be")
    }
  }

  private func take(_ event: StampedEvent) {
    let effects = shadow.handle(event)
    if case .step(let host, _, .failed) = event.event, isMet(host) { failureSeenAt = failureSeenAt ?? now() }
    switch event.event {
    case .order(let order) where order.verb == .pause: paused()
    case .order(let order) where order.verb == .resume || order.verb == .approve: pausedAt = nil
    case .step(let host, _, .failed(let failure)) where failure.kind == .precondition:
      preconditions += 1
      // From the third in a row on they are taken for something that all share.
      if preconditions >= 3 { excused.insert(host) }
    // What is given up after a fault of something shared is charged to nobody.
    case .step(let host, _, .failed(let failure)) where failure.kind == .shared: excused.insert(host)
    case .step(_, _, .cleared): preconditions = 0
    // What a person wants tried again goes beside the wave that is open.
    case .order(let order): if case .retry(let hosts) = order.verb { retried.formUnion(hosts) }
    default: break
    }
    recount(event.event, effects)
    if isOnlyShared, shadow.isReleaseAtFault {
      fail(.sharedFailure, "the release is blamed for what all share: \(event.event)")
    }
    if shadow.state == .paused { paused() }
    if shadow.state == .running, case .order(let order) = event.event, case .retry = order.verb {
      pausedAt = nil
    }
  }

  // MARK: Hooks

  /// A hook has really come to this.
  func ended(_ run: HookRun, _ outcome: HookOutcome) { hooks.end(run, outcome) }

  /// No wave is done without its last hook.
  func checkHooks(atEnd state: RolloutState) {
    guard state == .promoted || state == .promotedWithExceptions,
      let what = hooks.obstacle(wave: plan.waves.count, isOnNew: isOnNew)
    else { return }
    fail(.hooks, "the rollout ends as \(state.rawValue) \(what)")
  }

  /// Whether the host was promoted with its wave; whom a person wanted tried again may come behind it.
  private func isOnNew(_ host: Int) -> Bool { !retried.contains(host) && shadow.phase(of: host) == .promoted }

  /// A controller has gone on from this engine.
  func takenUp(_ engine: RolloutEngine) {
    if shadow != engine {
      fail(.replay, "the replayed state is not the one that the journal's events led to")
    }
  }

  /// An effect is begun.
  func begins(_ effect: RolloutEffect, journal: SimulatedJournal) {
    if case .runHook(let run, _) = effect {
      if let what = hooks.begin(run) { fail(.durableIntent, what) }
      return
    }
    guard case .perform(let host, let attempt, let step, _, _) = effect else { return }
    if journal.count < counted {
      fail(.growingJournal, "\(counted) records became \(journal.count)")
    }
    counted = journal.count
    if attempt > seen[host].durableAttempt {
      fail(.durableIntent, "h\(host): \(step.word) begins before its intent is durable")
    }
  }

  private func wave(of host: Int) -> Int { plan.waves.lastIndex(where: { $0.first <= host }) ?? 0 }

  /// Keeps the sums right after an event: most concern the one host that it is about, and those that it leads to.
  private func recount(_ event: RolloutEvent, _ effects: [RolloutEffect]) {
    switch event {
    case .step(let host, _, _): recount(host)
    case .order, .started, .resumed: shares.indices.forEach { recount($0) }
    case .hook: break
    }
    for effect in effects {
      if case .perform(let host, _, _, _, _) = effect { recount(host) }
    }
  }

  private func recount(_ host: Int) {
    var share = Share(isFailed: false, isOpen: false, isFlying: false)
    let phase = shadow.phase(of: host)
    share.isFlying = phase.isInFlight && phase != .restoring
    switch phase {
    // Restored hosts of a rollout that goes on have failed.
    case .failed, .restored, .quarantined: share.isFailed = !excused.contains(host)
    case .pending, .preflight, .staging, .starting, .gating, .flipping, .soaking:
      share.isOpen = !retried.contains(host)
    default: break
    }
    let old = shares[host]
    guard share != old else { return }
    shares[host] = share
    let place = wave(of: host)
    failedByWave[place] += (share.isFailed ? 1 : 0) - (old.isFailed ? 1 : 0)
    openByWave[place] += (share.isOpen ? 1 : 0) - (old.isOpen ? 1 : 0)
    flying += (share.isFlying ? 1 : 0) - (old.isFlying ? 1 : 0)
  }

  private func checkPause(_ what: String) {
    guard let pausedAt, now() - pausedAt > 5000 else { return }
    fail(.pause, "\(what): begun \(now() - pausedAt) ms after a pause")
  }

  private func checkWaves(before place: Int, _ what: String) {
    guard openByWave.prefix(place).contains(where: { $0 > 0 }) else { return }
    let late = shares.indices.first { shares[$0].isOpen && wave(of: $0) < place } ?? 0
    fail(
      .waves, "\(what) begins while h\(late) of wave \(wave(of: late)) is \(shadow.phase(of: late).rawValue)")
  }

  private func checkStart(_ host: Int, wave place: Int) {
    checkPause("h\(host)")
    if !retried.contains(host), let what = hooks.obstacle(wave: place, isOnNew: isOnNew) {
      fail(.hooks, "h\(host) of wave \(place) begins \(what)")
    }
    checkWaves(before: place, "h\(host) of wave \(place)")
    let budget = plan.policy.budget
    for (number, wave) in plan.waves.enumerated() {
      let borne = (number == 0 ? budget.canary : budget.wave).ofFailures(wave.count)
      if failedByWave[number] > borne {
        fail(
          .budget, "h\(host) begins with \(failedByWave[number]) failures in wave \(number), \(borne) borne")
      }
    }
  }
}
