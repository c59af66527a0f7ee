import HostProtocol
import Ports
import RolloutModel

/// The steps that change a host. Each is answered by what the host then is, not by an exit code.
extension StepRunner {
  func stage(again: Bool) async throws(StepFailure) -> StepOutcome {
    try await startStopped()
    note("takes the lease")
    _ = try await session.key()
    if let playbook = plan.agent.prepare { try await prepare(playbook) }
    if again {
      _ = try await session.ask(
        .clear(agent, reason: plan.again ?? "tried again by a person"), within: .seconds(15))
    }
    let release = try release()
    guard let archive = plan.release.archive(for: known.architecture) else { throw .wrongReply }
    // The playbook may have taken its time.
    let key = try await session.key()
    if archive.isFetched {
      note("has the host fetch the image")
      _ = try await session.ask(.stage(key, release), within: .seconds(60))
      _ = try await session.ask(.stageEnd(key, release), within: Self.imageWithin)
      return .staged
    }
    note("brings the archive to the host")
    let reply: HostReply
    do {
      reply = try await session.channel.stage(
        release, from: archive.path, key: key,
        progressWithin: plan.agent.container == nil ? .seconds(60) : Self.imageWithin)
    } catch {
      throw StepFailure(error)
    }
    _ = try session.checked(reply)
    return .staged
  }

  private func prepare(_ playbook: PlannedPlaybook) async throws(StepFailure) {
    guard let preparer else {
      throw StepFailure(.shared, "nobody is there to run \(escapedForTerminal(playbook.playbook))")
    }
    try await preparer.prepare(host, playbook, note: note, tell: tellPlaybook)
  }

  /// Longer than the host itself gives an image to arrive and to be taken in.
  private static let imageWithin = Duration.seconds(330)

  func start() async throws(StepFailure) -> StepOutcome {
    note("starts the \(known.candidate.rawValue) slot")
    let deadline = max(plan.policy.gate.deadline, .seconds(30))
    let status = try await afterDrain { () async throws(StepFailure) in
      try await session.status(
        .start(try await session.key(), known.candidate, try release(), deadline: deadline),
        within: deadline.duration + .seconds(30))
    }
    guard let unit = status.slot(known.candidate)?.unit, unit.isActive, !unit.invocation.isEmpty else {
      throw StepFailure(
        .host, "the new version's unit is not active after its start", lastLines: status.lastLines)
    }
    return .started(bootID: status.bootID, invocation: unit.invocation)
  }

  /// A slot that lost traffic a moment ago may have open connections: it's given its drain time before it's used again.
  private func afterDrain(
    _ body: () async throws(StepFailure) -> AgentStatus
  ) async throws(StepFailure) -> AgentStatus {
    let patience = time.now + plan.agent.drain + .seconds(30)
    while true {
      do throws(StepFailure) {
        return try await body()
      } catch {
        guard error.kind == .busy, time.now < patience else { throw error }
        note("waits until the connections of the slot's last release have drained")
        _ = await pause(.seconds(1))
      }
    }
  }

  func flip(gatePassed: Moment) async throws(StepFailure) -> StepOutcome {
    note("moves traffic")
    let order = FlipOrder(
      agent: agent, flip: known.flip, from: known.from, to: known.candidate, release: try release().digest,
      bootID: known.bootID, invocation: known.invocation, gateAge: time.now.since(gatePassed),
      confirmWithin: plan.policy.confirmWithin)
    let status = try await session.status(.flip(try await session.key(), order), within: .seconds(30))
    guard let flip = status.flip, flip.flip == known.flip, flip.phase == .armed || flip.phase == .confirmed,
      status.owner == Side(known.candidate)
    else {
      throw StepFailure(
        .undone, "the host answered the flip and shows another owner: \(status.disturbance ?? "")")
    }
    return .flipped
  }

  func confirm() async throws(StepFailure) -> StepOutcome {
    note("confirms")
    let status = try await session.status(
      .confirm(agent, try await session.key(), flip: known.flip), within: .seconds(20))
    guard status.flip?.flip == known.flip, status.flip?.phase == .confirmed else {
      throw StepFailure(.undone, "the host did not take the confirm")
    }
    return .confirmed
  }

  func promote() async throws(StepFailure) -> StepOutcome {
    note("promotes")
    let status = try await session.status(
      .promote(agent, try await session.key(), flip: known.flip), within: .seconds(20))
    guard status.flip?.flip == known.flip, status.flip?.phase == .promoted else {
      throw StepFailure(.undone, "the host did not take the promotion")
    }
    return .promoted
  }

  func retain() async throws(StepFailure) -> StepOutcome {
    _ = try await session.status(
      .retain(agent, try await session.key(), plan.policy.keepOld), within: .seconds(20))
    try await session.giveBack()
    return .retained
  }
}
