import HostProtocol
import Ports
import RolloutEngine
import RolloutModel

/// Probing: the gate before the flip, the proof behind it, the soak.
extension StepRunner {
  /// The candidate is probed on its own port, through the host, and its unit is watched.
  func gate() async throws(StepFailure) -> StepOutcome {
    let port = plan.agent.slots[known.candidate]
    let questions = try await questions(
      version: plan.release.version, slot: known.candidate, port: port, inside: true)
    var reducer = GateReducer(plan.policy.gate, began: time.now)
    var sickness = Sickness()
    while true {
      let round = await ask(questions)
      let verdict = reducer.take(round, at: time.now)
      await compare(round, &sickness)
      switch verdict {
      case .passed:
        // What passed must be what was started: a unit that was restarted meanwhile is another one.
        let passed = time.now
        try await checkCandidate()
        return .gatePassed(passed)
      case .failed(let why):
        // A host that is cut off, or another controller's by now, says nothing of the release.
        _ = try await session.observeOurs()
        try await blameShared(round, why, sickness, questions)
        throw StepFailure(
          .gate, "the new version did not become healthy on port \(port): \(why)",
          lastLines: await lastLines())
      case .undecided:
        if round.contains(where: { !$0.isHealthy }) { try await checkCandidate() }
        tell(verdict, left: reducer.left(at: time.now), what: "healthy answers on port \(port)")
      }
      reducer.rest(at: time.now)
      if await !pause(plan.policy.gate.interval) { return .cancelled }
    }
  }

  /// The public port is probed from outside until the new version has answered often enough in a row.
  func prove() async throws(StepFailure) -> StepOutcome {
    let questions = try await publicQuestions(version: plan.release.version, slot: known.candidate)
    var gate = plan.policy.gate
    // A confirm after the host's own deadline is refused, so that waiting longer has no sense.
    gate.deadline = min(gate.deadline, plan.policy.confirmWithin)
    var reducer = GateReducer(gate, began: time.now)
    var sickness = Sickness()
    while true {
      let round = await ask(questions)
      let verdict = reducer.take(round, at: time.now)
      await compare(round, &sickness)
      switch verdict {
      case .passed: return .proven
      case .failed(let why):
        // A host that is cut off, or has undone the flip meanwhile, says nothing of the release.
        try await checkArmed()
        try await blameShared(round, why, sickness, questions)
        throw StepFailure(
          .gate,
          "after the flip the public port \(plan.agent.publicPort) did not answer from outside: \(why)",
          hint: "see whether a firewall of the host drops port \(plan.agent.slots[known.candidate])")
      case .undecided:
        tell(verdict, left: reducer.left(at: time.now), what: "healthy answers on the public port")
      }
      reducer.rest(at: time.now)
      if await !pause(gate.interval) { return .cancelled }
    }
  }

  /// The flipped host is watched through its public port, and its own record now and then.
  func soak(_ length: Span) async throws(StepFailure) -> StepOutcome {
    let questions = try await publicQuestions(version: plan.release.version, slot: known.candidate)
    var reducer = SoakReducer(
      length: length, gate: plan.policy.gate, tolerance: plan.policy.soakTolerance, began: time.now)
    if case .passed = reducer.check(at: time.now) { return .soaked(samples: 0) }
    // In long soaks the host is asked rarely, and the connection is closed between.
    let isLong = length > .seconds(300)
    let askEvery = isLong ? Span.seconds(30) : Span.seconds(2)
    var asked = time.now
    var sickness = Sickness()
    while true {
      let round = await ask(questions)
      let verdict = reducer.take(round, at: time.now)
      // In a soak it's the last row of sick answers that is judged, in a gate all that kept it from passing.
      if round.allSatisfy(\.isHealthy) { sickness = Sickness() }
      await compare(round, &sickness)
      switch verdict {
      case .passed:
        try await checkProbation()
        return .soaked(samples: reducer.samples)
      case .failed(let why):
        // A host that can't be asked at all says nothing of the release: that is another failure.
        try await checkProbation()
        try await blameShared(round, why, sickness, questions)
        throw StepFailure(.gate, why, lastLines: await lastLines())
      case .undecided:
        note("soaks, \(reducer.left(at: time.now).roundedToSeconds) left")
      }
      if round.contains(where: { !$0.isHealthy }) || time.now.since(asked) >= askEvery {
        try await checkProbation()
        if let unitLines { unitLines(await lastLines(Self.linesInSoak)) }
        asked = time.now
        if isLong { await session.channel.close() }
      }
      reducer.rest(at: time.now)
      let left = reducer.left(at: time.now)
      let interval = plan.policy.gate.interval
      if await !pause(left > .zero ? min(interval, left) : interval) { return .cancelled }
    }
  }

  // MARK: What is asked

  /// Asks every probe once, at the same time.
  func ask(_ questions: [ProbeRequest]) async -> [Sample] {
    await withTaskGroup(of: (Int, Sample).self) { group in
      for (place, question) in questions.enumerated() {
        group.addTask { [prober] in (place, await prober.sample(question)) }
      }
      var samples: [Sample?] = questions.map { _ in nil }
      for await (place, sample) in group { samples[place] = sample }
      return samples.compactMap { $0 }
    }
  }

  /// The default gate's questions for one version in one slot, from inside the host.
  func questions(version: Version?, slot: Slot, port: Int, inside: Bool) async throws(StepFailure)
    -> [ProbeRequest]
  {
    var requests: [ProbeRequest] = []
    for probe in plan.agent.health {
      let filled = probe.filled(version: version, slot: slot, port: port, host: host.name)
      let route: ProbeRoute
      do throws(DoorError) {
        route =
          inside
          ? try await session.channel.insideRoute(host: "127.0.0.1", port: filled.port ?? port)
          : try await session.channel.outsideRoute(port: filled.port ?? port)
      } catch {
        throw StepFailure(error)
      }
      requests.append(
        ProbeRequest(probe: filled, route: route, timeout: plan.policy.gate.timeout, version: version?.text))
    }
    return requests
  }

  /// The questions for the port that clients use, from outside the host, or from inside where that was accepted.
  func publicQuestions(version: Version?, slot: Slot) async throws(StepFailure) -> [ProbeRequest] {
    let port = plan.agent.traffic == .none ? plan.agent.slots[slot] : plan.agent.publicPort
    return try await questions(version: version, slot: slot, port: port, inside: plan.acceptLocalProbes)
  }

  // MARK: What the host says meanwhile

  /// Throws where the candidate's unit is not the one that was started, or is not up.
  private func checkCandidate() async throws(StepFailure) {
    let status = try await session.observeOurs()
    guard status.bootID == known.bootID else {
      throw StepFailure(.changed, "the host was rebooted while the new version was being proved")
    }
    guard let unit = status.slot(known.candidate)?.unit else { throw .wrongReply }
    guard unit.isActive || unit.activeState == "activating", unit.invocation == known.invocation,
      unit.restarts == 0
    else {
      let how =
        unit.isActive || unit.subState == "auto-restart" || unit.restarts > 0
        ? "was restarted (\(unit.restarts) times)"
        : "is \(unit.activeState) (\(unit.result), status \(unit.exitStatus))"
      throw StepFailure(
        .gate,
        "the new version's unit \(escapedForTerminal(unit.unit)) \(escapedForTerminal(how)) before it was proved",
        lastLines: await lastLines())
    }
  }

  /// Lines of the unit that are asked for at a look in the soak; of more between two looks the earlier ones are missed.
  private static let linesInSoak = 50

  /// How often in a row the old version must be sick too, before what both need is blamed.
  private static let oldSideSamples = 3

  /// The sick rounds of the new version, and in how many of them the old one was sick as well.
  private struct Sickness {
    var rounds = 0
    var shared = 0
    var reason = ""

    /// An outage that both have may be over for one of them by the time that it is judged.
    var isShared: Bool { shared >= 2 && shared * 2 >= rounds }
  }

  /// Looks at the old version whenever the new one is sick.
  private func compare(_ round: [Sample], _ sickness: inout Sickness) async {
    // Only an answer tells of what the new version needs. Where none comes, the host may be cut off, and asking it for the old
    // side would hold the step up.
    guard round.contains(where: { if case .unhealthy = $0.outcome { true } else { false } }) else { return }
    sickness.rounds += 1
    do throws(StepFailure) {
      guard let bad = try await oldSideComplaint() else { return }
      sickness.shared += 1
      sickness.reason = bad
    } catch {
      // A way to the host that is cut says nothing of either version; whoever judges the host next finds it cut.
    }
  }

  /// What is wrong with the old version; nil where it is healthy, could not be asked, or there is none.
  private func oldSideComplaint() async throws(StepFailure) -> String? {
    guard let from = known.from, let port = session.setup.port(of: from) else { return nil }
    let questions = try await questions(
      version: known.fromVersion.flatMap { Version($0) }, slot: from.slot ?? .blue, port: port, inside: true)
    guard let bad = await ask(questions).first(where: { !$0.isHealthy }), !bad.isNotAsked else { return nil }
    return bad.reason ?? "unhealthy"
  }

  /// Throws where something that all hosts share is at fault rather than the new version: nothing could be asked, or the
  /// old version beside it is as sick, or was.
  private func blameShared(
    _ round: [Sample], _ why: String, _ sickness: Sickness, _ questions: [ProbeRequest]
  ) async throws(StepFailure) {
    if !round.isEmpty, round.allSatisfy(\.isNotAsked) {
      throw StepFailure(
        .shared, "no probe could be asked: \(why)",
        hint: "see to the controller's machine and the way to the host")
    }
    var complaint = sickness.reason
    if !sickness.isShared {
      // One unlucky answer of the old version must not clear the new one of blame.
      for turn in 0..<Self.oldSideSamples {
        if turn > 0, await !pause(plan.policy.gate.interval) {
          throw StepFailure(.changed, "the step was ended before it was known what is at fault: \(why)")
        }
        guard let bad = try await oldSideComplaint() else {
          // Both were sick, and neither is: what ailed them is over, and says nothing of either.
          if sickness.shared > 0, await ask(questions).allSatisfy(\.isHealthy) {
            throw StepFailure(
              .changed, "old and new version were sick together and are healthy again: \(why)")
          }
          return
        }
        complaint = bad
      }
    }
    throw StepFailure(
      .shared,
      "neither the new version is healthy (\(why)) nor the old one beside it (\(complaint))",
      hint: "see to what both depend on, then resume")
  }

  /// Throws where our flip is not armed any more.
  private func checkArmed() async throws(StepFailure) {
    let status = try await session.observeOurs()
    guard let flip = status.flip, flip.flip == known.flip, flip.phase == .armed || flip.phase == .confirmed
    else {
      throw StepFailure(
        .undone, status.flip?.reason ?? "the host has undone the flip", lastLines: status.lastLines)
    }
  }

  /// Throws where the host's record is no longer that of our confirmed flip, or the candidate's unit is another one.
  private func checkProbation() async throws(StepFailure) {
    let status = try await session.observeOurs()
    guard let flip = status.flip, flip.flip == known.flip, flip.phase == .confirmed || flip.phase == .promoted
    else {
      throw StepFailure(
        .undone, status.flip?.reason ?? "the host has undone the flip", lastLines: status.lastLines)
    }
    guard status.bootID == known.bootID, status.slot(known.candidate)?.unit.invocation == known.invocation
    else {
      throw StepFailure(
        .changed, "the host or the unit was started anew during the soak: gate and soak start again")
    }
  }

  /// The candidate's last lines, for an error; none where they can't be had, since the error itself matters more.
  private func lastLines(_ count: Int = 10) async -> [String] {
    do throws(StepFailure) {
      let reply = try await session.ask(
        .log(agent, Side(known.candidate), lines: count), within: .seconds(10))
      if case .log(let lines) = reply { return lines }
      return []
    } catch {
      return []
    }
  }

  // MARK: Waiting

  /// Waits; false where the step was ended early meanwhile.
  func pause(_ span: Span) async -> Bool {
    do {
      try await time.sleep(span)
      return !Task.isCancelled
    } catch {
      return false
    }
  }

  private func tell(_ verdict: Verdict, left: Span, what: String) {
    guard case .undecided(let healthy, let needed, let last) = verdict else { return }
    note(
      "waits: \(healthy) of \(needed) \(what), \(left.roundedToSeconds) left"
        + (healthy == 0 ? last.map { "; \($0)" } ?? "" : ""))
  }
}

extension Span {
  /// For people: whole seconds, rounded up.
  var roundedToSeconds: Span { .seconds((milliseconds + 999) / 1000) }
}

extension ProbeDefinition {
  /// The probe with its placeholders filled in. Where the version isn't known, what would name it is not asked for.
  package func filled(version: Version?, slot: Slot, port: Int, host: String) -> ProbeDefinition {
    let placeholders = Placeholders(port: port, slot: slot, version: version, host: host)
    func fill(_ text: String) -> String? {
      version == nil && Placeholders.namesVersion(text) ? nil : placeholders.fill(text)
    }
    var filled = self
    switch question {
    case .http(let path): filled.question = .http(path: placeholders.fill(path))
    case .https(let path, let verify): filled.question = .https(path: placeholders.fill(path), verify: verify)
    case .tcp: break
    }
    filled.expect.json = expect.json.compactMap { field in
      guard case .text(let text) = field.value else { return field }
      return fill(text).map { JSONField(path: field.path, value: .text($0)) }
    }
    filled.expect.body = expect.body.flatMap(fill)
    filled.expect.bodyMatches = expect.bodyMatches.flatMap { pattern in
      fill(pattern) == nil ? nil : placeholders.fill(pattern, escape: Self.literal)
    }
    filled.expect.headers = expect.headers.compactMap { field in
      fill(field.value).map { HeaderField(name: field.name, value: $0) }
    }
    return filled
  }

  /// Text as a regular expression that matches just it.
  private static func literal(_ text: String) -> String {
    String(text.flatMap { $0.isLetter || $0.isNumber ? [$0] : ["\\", $0] })
  }
}
