import HostMachine
import HostSteps
import RolloutModel

/// What a simulation is about: a fleet, a policy, a release.
struct Scene {
  let plan: Plan
  let old: IdentifiedRelease
  let new: IdentifiedRelease
  let behaviour: Behaviour
  /// Hosts of a thousand on which the new release misbehaves.
  let share: Int
  /// Whether some hosts have a floor above the new release.
  let hasFloors: Bool

  /// Why a scene can't be made: an error of this module.
  struct Unmakable: Error {}

  static func random(_ dice: inout Dice, isPlain: Bool, hooks: WaveHooks?) throws -> Scene {
    var policy = randomPolicy(&dice)
    policy.hooks = hooks
    if isPlain {
      for place in policy.waves.indices { policy.waves[place].batch = .count(1) }
      policy.confirmWithin = .seconds(120)
    }
    let count = Int(dice.number(1...12))
    let (plan, old, new) = try plan(policy, hosts: (0..<count).map { "h\($0)" })
    let ill: [Behaviour] = [
      .neverHealthy, .exits, .hangs, .wrongVersion, .slowStart(dice.number(500...40_000)),
      .flapping(dice.number(300...3000)), .crashes(dice.number(1_000...90_000)),
      .sickens(dice.number(1_000...90_000)),
    ]
    let kinds = isPlain ? 4 : ill.count
    let isGood = dice.permille(450)
    return Scene(
      plan: plan, old: old, new: new,
      behaviour: isGood ? .good : ill[Int(dice.number(0...Int64(kinds - 1)))],
      share: [1000, 1000, 500, 100][Int(dice.number(0...3))], hasFloors: !isPlain && dice.permille(50))
  }

  /// In half of the seeds waves have hooks: the first one, the last one, or both; in half of those the hooks may fail.
  static func randomHooks(_ dice: inout Dice, _ faults: inout Faults) -> WaveHooks? {
    let which = dice.number(0...5)
    let rate = [0, 0, 100, 400][Int(dice.number(0...3))]
    guard which < 3 else { return nil }
    faults[.hookFails] = rate
    func playbook(_ name: String, _ isThere: Bool) -> PlannedPlaybook? {
      isThere ? PlannedPlaybook(project: "/plays", playbook: name, digest: nil) : nil
    }
    return WaveHooks(
      beforeWave: playbook("checks.yml", which != 1), afterWave: playbook("verify.yml", which != 0))
  }

  /// A study's own policy and hosts.
  static func of(_ study: Study) throws -> Scene {
    let (plan, old, new) = try plan(study.policy, hosts: study.hosts)
    return Scene(
      plan: plan, old: old, new: new, behaviour: study.illness?.kind.behaviour ?? .good,
      share: study.illness?.permille ?? 0, hasFloors: false)
  }

  private static func plan(
    _ policy: Policy, hosts: [String]
  ) throws -> (Plan, old: IdentifiedRelease, new: IdentifiedRelease) {
    guard let name = AgentName("demo"), let one = Version("1.0.0"), let two = Version("2.0.0"),
      let first = Digest(String(repeating: "11", count: 32)),
      let second = Digest(String(repeating: "22", count: 32))
    else { throw Unmakable() }
    let agent = AgentDefinition(
      name: name, user: "root", strip: 0, exec: "bin/agent", args: [], environment: [],
      slots: SlotPorts(blue: 7001, green: 7002), publicPort: 8400, traffic: .nftables, drain: .seconds(5),
      concurrent: true, unitTemplate: nil, adopt: nil,
      health: [
        ProbeDefinition(
          question: .http(path: "/health"),
          expect: Expectation(json: [JSONField(path: "version", value: .text("{{ version }}"))]))
      ], dependencies: [])
    func release(_ version: Version, _ digest: Digest) -> Release {
      Release(
        version: version,
        archives: [ReleaseArchive(architecture: "", path: "/archive", digest: digest, bytes: 1 << 20)])
    }
    let plan = Plan(
      id: "r-1", agent: agent, policy: policy, release: release(two, second),
      hosts: hosts.enumerated().map { Host(name: $1, address: "h\($0)") },
      waves: PlannedWave.waves(of: policy, total: hosts.count), acceptLocalProbes: false, again: nil,
      takeOver: nil,
      owner: "somebody")
    var before = plan
    before.release = release(one, first)
    return (
      plan, try ReleaseIdentities(of: before).release(for: ""),
      try ReleaseIdentities(of: plan).release(for: "")
    )
  }

  private static func randomPolicy(_ dice: inout Dice) -> Policy {
    func soak(_ dice: inout Dice) -> Span { .seconds([0, 5, 30, 60][Int(dice.number(0...3))]) }
    let approve = dice.permille(200)
    var waves = [
      WaveDefinition(name: "canary", hosts: .count(1), batch: .count(1), soak: soak(&dice), approve: false)
    ]
    if dice.permille(500) {
      waves.append(
        WaveDefinition(
          name: "early", hosts: .share(basisPoints: 5000), batch: .count(Int(dice.number(1...4))),
          soak: soak(&dice),
          approve: approve))
    }
    waves.append(
      WaveDefinition(
        name: "rest", hosts: .share(basisPoints: 10_000), batch: .count(Int(dice.number(1...6))),
        soak: soak(&dice),
        approve: false))
    return Policy(
      name: "random", waves: waves,
      gate: Gate(
        successes: Int(dice.number(1...4)), interval: Span(milliseconds: dice.number(200...2000)),
        timeout: .seconds(2), deadline: .seconds(30)),
      budget: Budget(
        canary: .count(Int(dice.number(0...1))), wave: .count(Int(dice.number(0...3))),
        fleet: .count(Int(dice.number(0...4))), unreachable: .count(Int(dice.number(0...4)))),
      onBreach: dice.permille(500) ? .rollback : .halt, confirmWithin: .seconds(dice.number(30...120)),
      keepOld: Retention(running: .seconds(3600), installed: .seconds(7200)), partial: false, soakTolerance: 2
    )
  }

  var title: String {
    "\(plan.hosts.count) hosts, the release is \(behaviour) on \(share) of 1000, \(plan.policy)"
  }

  /// The old version is live on all hosts.
  func prepare(_ hosts: [SimulatedHost], _ dice: inout Dice) {
    guard let first = hosts.first else { return }
    install(on: first)
    for host in hosts {
      if host !== first { host.takeOn(first, AgentSetup(agent: plan.agent, host: "h\(host.index)")) }
      host.isIll = behaviour != .good && dice.permille(share)
      // An earlier rollout, since rolled back, may have said that nothing as old as this release shall come here again.
      if hasFloors, dice.permille(300), let floor = Version("2.1.0") {
        host.floor = floor
        host.disk?.floor = floor
      }
      host.behaviours = [old.digest: .good, new.digest: host.isIll ? behaviour : .good]
    }
  }

  /// Brings the old version to a host as a rollout would.
  private func install(on host: SimulatedHost) {
    host.store = [old.digest]
    let setup = AgentSetup(agent: plan.agent, host: "h\(host.index)")
    let key = LeaseKey(controller: "before", epoch: 1)
    host.world.isRaging = false
    defer { host.world.isRaging = true }
    _ = host.carryOut(
      .acquire(
        LeaseRequest(
          setup: setup, controller: "before", holder: "somebody", reason: "before", ttl: .seconds(60),
          takeOver: false)))
    _ = host.carryOut(.start(key, .blue, old, deadline: .seconds(30)))
    let invocation = host[.blue].invocation
    _ = host.carryOut(
      .flip(
        key,
        FlipOrder(
          agent: plan.agent.name, flip: "before", from: nil, to: .blue, release: old.digest,
          bootID: host.bootID,
          invocation: invocation, gateAge: .zero, confirmWithin: .seconds(60))))
    _ = host.carryOut(.confirm(key, flip: "before"))
    _ = host.carryOut(.promote(key, flip: "before"))
    _ = host.carryOut(.release(key))
  }
}
