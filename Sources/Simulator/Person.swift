import ControllerMachine
import HostSteps
import RolloutEngine
import RolloutModel

/// Who runs the rollout: starts controllers, answers when the rollout waits for a word, and sometimes says one unasked.
final class Person {
  private let world: SimulatedWorld
  private let journal: SimulatedJournal
  private let plan: Plan
  private var controllers = 1
  private(set) var controller: SimulatedController
  private var words = 0
  /// Those that another one has taken over from live on until they are killed.
  private var overruled: [SimulatedController] = []

  init(world: SimulatedWorld, journal: SimulatedJournal, plan: Plan) {
    self.world = world
    self.journal = journal
    self.plan = plan
    controller = SimulatedController(RolloutEngine(plan: plan), journal: journal, name: "c1", world: world)
  }

  /// Whether the rollout has come to its end.
  var isOver: Bool { controller.isResting && controller.engine.state.isEnd }

  func begin() {
    world.onKill = { [weak self] in self?.kill($0) }
    controller.happen(.started)
    look()
    disturb()
  }

  /// Looks now and then, as a person does.
  private func look() {
    world.machinery.after(world.dice.number(5_000...30_000)) { [self] in
      if controller.isDead {
        takeUp()
      } else if controller.isResting, !controller.engine.state.isEnd {
        answer()
      } else if world.strikes(.operatorActs) {
        act()
      }
      if !isOver { look() }
    }
  }

  private func answer() {
    words += 1
    let verb: Order.Verb =
      controller.engine.state == .awaitingApproval ? .approve : words > 40 ? .abort : .resume
    controller.happen(.order(Order(verb, reason: "", by: "somebody")))
  }

  private func act() {
    let hosts = plan.hosts.indices.filter { _ in world.dice.permille(300) }
    let verbs: [Order.Verb] = [.pause, .pause, .resume, .skip(hosts), .retry(hosts), .abort, .rollback]
    let verb = verbs[Int(world.dice.number(0...Int64(verbs.count - 1)))]
    controller.happen(.order(Order(verb, reason: "", by: "somebody")))
  }

  // MARK: Faults that strike from outside

  private func disturb() {
    world.machinery.after(world.dice.number(500...3000)) { [self] in
      guard world.isRaging, !isOver else { return }
      let host = world.hosts[Int(world.dice.number(0...Int64(world.hosts.count - 1)))]
      if world.strikes(.hostReboot) { host.reboot(after: world.dice.number(2_000...90_000)) }
      if world.strikes(.hostCut) { cut(host) }
      if world.strikes(.firewallFlush) { host.flush() }
      if world.strikes(.firewallDrop) { host.isDropping = true }
      if world.strikes(.sideDies) {
        let side: Side = world.dice.permille(500) ? .blue : .green
        if host[side].isActive { host.die(side, forGood: world.dice.permille(300)) }
      }
      if world.strikes(.dependencyDown) { breakDependency() }
      if world.strikes(.controllerKilled) { kill(controller) }
      if world.strikes(.controllerStopped) { stop(controller) }
      world.judge.lookAgain()
      disturb()
    }
  }

  private func cut(_ host: SimulatedHost) {
    world.note("h\(host.index) is cut off")
    host.isCut = true
    world.machinery.after(world.dice.number(1_000...200_000)) { host.isCut = false }
  }

  private func breakDependency() {
    guard !world.isDependencyDown else { return }
    world.note("what all depend on is down")
    world.isDependencyDown = true
    let length = world.dice.number(1_000...(world.dice.permille(300) ? 1_200_000 : 120_000))
    world.machinery.after(length) { [world] in world.isDependencyDown = false }
  }

  private func kill(_ victim: SimulatedController) {
    guard victim === controller, !victim.isDead else { return }
    victim.kill()
  }

  /// The controller is stopped, another takes over, and the first one wakes.
  private func stop(_ victim: SimulatedController) {
    guard victim === controller, !victim.isDead, !victim.isStopped else { return }
    world.note("the controller \(victim.identity.id) is stopped")
    victim.isStopped = true
    let nap = world.dice.number(1_000...60_000)
    if world.dice.permille(500) {
      victim.overrule()
      overruled.append(victim)
      takeUp()
      // It goes on for a while: hosts that its successor has leased refuse it.
      world.machinery.after(nap + world.dice.number(1_000...120_000)) { victim.kill() }
    }
    world.machinery.after(nap) { [world] in
      guard victim.isStopped else { return }
      victim.isStopped = false
      world.note("the controller \(victim.identity.id) wakes")
    }
  }

  private func takeUp() {
    if world.bugs.contains(.forgetLastCommit) { journal.loseLastEvent() }
    var replay = JournalReplay(engine: RolloutEngine(plan: plan))
    do {
      for record in journal.records { try replay.take(record) }
    } catch {
      world.judge.fail(.replay, "\(error)")
      return
    }
    world.judge.takenUp(replay.engine)
    controllers += 1
    world.note("the controller c\(controllers) takes the rollout up after \(journal.count) records")
    let hasStarted = journal.records.contains { $0.entry.isEvent }
    controller = SimulatedController(replay.engine, journal: journal, name: "c\(controllers)", world: world)
    controller.happen(hasStarted ? .resumed(controller: "c\(controllers)") : .started)
  }
}

extension JournalEntry {
  fileprivate var isEvent: Bool {
    if case .event = self { true } else { false }
  }
}
