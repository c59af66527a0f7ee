import PolicyFiles
import RolloutModel

/// A plan as people read it: what would be done, to which hosts, in which waves.
struct PlanText {
  /// What a survey found on a host: what would be done, or why it would fail.
  typealias Finding = Result<PreflightResult, StepFailure>

  var plan: Plan
  /// By the hosts' places; empty where the hosts were not asked.
  var findings: [Finding]
  var symbols: Symbols

  /// The whole plan.
  func lines() -> [StyledText] {
    var lines = head()
    for (number, wave) in plan.waves.enumerated() {
      lines += [StyledText(), title(of: wave, number: number + 1)]
      lines += hosts(of: wave)
    }
    return lines + [StyledText()] + [sum()]
  }

  // MARK: The rollout

  private func head() -> [StyledText] {
    let (agent, policy) = (plan.agent, plan.policy)
    var lines = [
      StyledText(
        "\(agent.name) \(plan.release.version) by policy \(policy.name): "
          + "\(Words.count(plan.hosts.count, "host")) in \(Words.count(plan.waves.count, "wave"))", .strong)
    ]
    for archive in plan.release.archives {
      let fits = archive.architecture.isEmpty ? "any architecture" : archive.architecture
      if let image = plan.agent.container?.image {
        lines.append(fact("image", "\(image.name), fetched by each host"))
      } else {
        lines.append(fact("archive", "\(archive.path), \(Words.bytes(archive.bytes)), \(fits)"))
      }
      lines.append(fact("", "sha256 \(archive.digest.hex)"))
    }
    lines.append(
      fact(
        "traffic",
        "\(agent.traffic.word) on port \(agent.publicPort); blue \(agent.slots.blue), green \(agent.slots.green); "
          + "drain \(agent.drain)"))
    lines.append(
      fact(
        "gate",
        "\(Words.count(policy.gate.successes, "healthy answer")) in a row to "
          + agent.health.map(\.title).joined(separator: " and ")
          + ", every \(policy.gate.interval), within \(policy.gate.timeout) each and \(policy.gate.deadline) in all"
      ))
    if let playbook = agent.prepare { lines.append(fact("prepare", words(for: playbook))) }
    for (number, text) in hooks().enumerated() { lines.append(fact(number == 0 ? "hooks" : "", text)) }
    lines.append(fact("budget", budget()))
    if let power = CanaryPower(plan) { lines.append(fact("canary", canary(power))) }
    lines.append(fact("undo", undo()))
    for note in notes() { lines.append(fact("note", note)) }
    return lines
  }

  private func fact(_ name: String, _ text: String) -> StyledText {
    var line = StyledText("  ")
    line.add(name, .faint)
    line.pad(to: 11)
    line.add(text)
    return line
  }

  private func hooks() -> [String] {
    WaveHook.allCases.compactMap { hook in
      guard let playbook = plan.policy.hooks?[hook] else { return nil }
      return "\(hook.rawValue): \(words(for: playbook))"
    }
  }

  private func words(for playbook: PlannedPlaybook) -> String {
    let digest = playbook.digest.map { ", project sha256 \($0.short)" } ?? ""
    return "\(escapedForTerminal(playbook.playbook))\(digest)"
  }

  private func budget() -> String {
    let (budget, total) = (plan.policy.budget, plan.hosts.count)
    let canary = budget.canary.ofFailures(plan.waves.first?.count ?? 0)
    let failures =
      "failures borne: \(canary) in the canary, \(budget.wave) of a wave, "
      + "\(budget.fleet.ofFailures(total)) of the fleet"
    let unreachable = "\(budget.unreachable.ofFailures(total)) unreachable"
    // Hosts that can't be reached never roll others back: they may be the controller's own network.
    return plan.policy.onBreach == .rollback
      ? "\(failures), one more rolls all hosts back; \(unreachable), one more halts the rollout"
      : "\(failures), \(unreachable); one more halts the rollout"
  }

  private func canary(_ power: CanaryPower) -> String {
    guard let excluded = power.excludedAbove, let even = power.evenChance else {
      return "it bears the failure of all its hosts, so that every release passes it"
    }
    return "once passed, a release that fails on more than \(Words.share(excluded)) of hosts is excluded "
      + "(\(Words.share(CanaryPower.confidence)) sure); one that fails on \(Words.share(even)) passes every second time"
  }

  private func undo() -> String {
    let keep = plan.policy.keepOld
    return "a host reverts by itself after \(plan.policy.confirmWithin) unconfirmed; "
      + "the old slot runs for \(keep.running) and stays installed for \(keep.installed) after the rollout"
  }

  private func notes() -> [String] {
    var notes: [String] = []
    if plan.acceptLocalProbes { notes.append("probes of the public port from the host itself are accepted") }
    if let why = plan.again { notes.append("a release that was rolled back is tried again: \(why)") }
    if let why = plan.takeOver { notes.append("live leases of others are taken over: \(why)") }
    for wave in PlannedWave.leftOut(of: plan.policy, in: plan.waves) {
      notes.append(
        "wave \(wave.name) is left out: it adds no host to a fleet of \(plan.hosts.count)"
          + (wave.approve ? ", and nobody is asked for its approval" : ""))
    }
    if findings.isEmpty { notes.append("the hosts were not asked") }
    return notes
  }

  // MARK: Waves

  private func title(of wave: PlannedWave, number: Int) -> StyledText {
    var line = StyledText("wave \(number) \(wave.name)", .strong)
    line.add(": \(Words.count(wave.count, "host")), \(wave.batch) at once, soak \(wave.soak)")
    if wave.approve { line.add(", after approval", .warning) }
    return line
  }

  private func hosts(of wave: PlannedWave) -> [StyledText] {
    var table = Table()
    for place in wave.range where plan.hosts.indices.contains(place) {
      table.add(row(of: place, soak: wave.soak))
    }
    return table.lines(indent: 1)
  }

  private func row(of place: Int, soak: Span) -> [StyledText] {
    let name = StyledText(plan.hosts[place].name)
    guard findings.indices.contains(place) else {
      return [StyledText(symbols.waiting, .faint), name]
    }
    switch findings[place] {
    case .failure(let failure):
      let why = failure.hint.isEmpty ? failure.reason : "\(failure.reason); \(failure.hint)"
      return [
        StyledText(symbols.failed, .bad), name, StyledText(), StyledText(),
        StyledText("would fail: \(why)", .bad),
      ]
    case .success(let found) where found.isLive:
      return [
        StyledText(symbols.done, .good), name, StyledText(from(found)), StyledText(),
        StyledText("nothing to do: this release is live", .faint),
      ]
    case .success(let found):
      let last = soak > .zero ? "soak \(soak), promote" : "promote"
      let first =
        found.from == nil
        ? "first install: " : found.isStopped == true ? "start what was stopped, " : ""
      let door = found.way.map { "; over \($0)" } ?? ""
      return [
        StyledText(symbols.active, .active), name, StyledText(from(found)),
        StyledText("\(symbols.arrow) \(found.candidate.rawValue) \(plan.release.version)"),
        StyledText("\(first)stage, start, gate, flip, \(last)\(door)", .faint),
      ]
    }
  }

  private func from(_ found: PreflightResult) -> String {
    guard let side = found.from else { return "nothing" }
    return "\(side.rawValue) \(found.fromVersion ?? "(version unknown)")"
  }

  private func sum() -> StyledText {
    guard !findings.isEmpty else {
      return StyledText("\(Words.count(plan.hosts.count, "host")), none asked", .warning)
    }
    var (upgraded, live, failing) = (0, 0, 0)
    for finding in findings {
      switch finding {
      case .failure: failing += 1
      case .success(let found): if found.isLive { live += 1 } else { upgraded += 1 }
      }
    }
    var line = StyledText("\(Words.count(upgraded, "host")) would be upgraded", upgraded > 0 ? .good : .plain)
    if live > 0 { line.add(", \(live) \(live == 1 ? "is" : "are") live already") }
    if failing > 0 { line.add(", \(failing) would fail", .bad) }
    return line
  }
}
