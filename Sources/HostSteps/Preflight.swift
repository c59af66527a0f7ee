import HostProtocol
import Ports
import RolloutModel

/// What must be so before a host is changed. Nothing is written on the host.
extension StepRunner {
  /// What a rollout would find; throws what would make the host fail.
  package func preflight() async throws(StepFailure) -> PreflightResult {
    note("asks the host for facts")
    let request = HostRequest.facts(setup: session.setup, user: plan.agent.user)
    guard case .facts(let facts) = try await session.ask(request, within: .seconds(30)) else {
      throw .wrongReply
    }
    let release = try releases.release(for: facts.architecture)
    let status = facts.agent
    if let disturbance = status.disturbance {
      // After a boot or a flush the recorded owner is being put back. Taken as it is, a host whose traffic goes nowhere for
      // a moment would look like one that has nothing yet.
      throw StepFailure(
        .changed, "traffic is not as the host recorded it: \(escapedForTerminal(disturbance))",
        hint: "the host's guard puts it right; journalctl -u switchyard-guard there says more")
    }
    let from = status.owner ?? (status.adopted?.isActive == true ? .adopted : nil)
    let candidate = from?.slot?.other ?? .blue
    let live = from?.slot.flatMap { status.slot($0)?.release }
    let isStopped = from.map { self.isStopped($0, status) } ?? false
    let result = PreflightResult(
      architecture: facts.architecture, release: release.digest, from: from,
      fromVersion: live?.manifest.version.text, candidate: candidate, isLive: live?.digest == release.digest,
      way: await session.channel.way(), isStopped: isStopped ? true : nil)
    var problems = obstacles(status, to: release)
    if result.isLive, let from {
      // That it has traffic is not enough: that must be final, nobody's to change, and seen healthy.
      if let flip = status.flip, flip.phase != .promoted, flip.phase != .reverted {
        problems.append("this release has traffic already, but its flip is only \(flip.phase.rawValue)")
      }
      problems += try await unhealthy(from, version: plan.release.version)
      try refuse(problems)
      return result
    }
    problems += obstacles(facts, candidate: candidate, from: from, archive: release.manifest.archiveBytes)
    note("checks dependencies")
    problems += try await failedDependencies()
    problems += try await obstaclesOutside()
    // One that was stopped is started, and seen healthy, before anything of the agent is changed.
    if let from, !isStopped {
      problems += try await unhealthy(from, version: live?.manifest.version).map {
        "\($0), so there would be no way back"
      }
    }
    try refuse(problems)
    return result
  }

  /// All that stands in the way is said at once.
  private func refuse(_ problems: [String]) throws(StepFailure) {
    guard problems.isEmpty else {
      throw StepFailure(
        .precondition, problems.joined(separator: "; "), hint: "nothing was changed on the host")
    }
  }

  /// What forbids that this rollout has anything to do with the agent here.
  private func obstacles(_ status: AgentStatus, to release: IdentifiedRelease) -> [String] {
    var problems: [String] = []
    if let quarantine = status.quarantine {
      problems.append("the host is quarantined: \(quarantine) (see `switchyard hosts clear`)")
    }
    if status.refused.contains(release.digest), plan.again == nil, !known.again {
      problems.append("this release was rolled back here before (--again --reason TEXT tries it once more)")
    }
    if let obstacle = status.floorObstacle(release), plan.again == nil, !known.again {
      problems.append("\(obstacle) (--again --reason TEXT goes below it)")
    }
    if let lease = status.lease, plan.takeOver == nil, !lease.reason.hasPrefix("rollout \(plan.id)") {
      problems.append("\(lease.holder) is changing this agent here: \(lease.reason)")
    }
    return problems
  }

  /// What the facts forbid.
  private func obstacles(
    _ facts: HostFacts, candidate: Slot, from: Side?, archive: Int64
  ) -> [String] {
    var problems: [String] = []
    if !facts.userExists { problems.append("the user \(plan.agent.user) does not exist") }
    for unit in facts.foreignUnits { problems.append("a unit \(unit) exists that is not ours") }
    if let obstacle = facts.trafficObstacle { problems.append(obstacle) }
    // The archive, what is unpacked from it, and some room.
    let (needed, isTooMuch) = archive.multipliedReportingOverflow(by: 3)
    if isTooMuch || facts.diskFree < needed {
      problems.append("only \(facts.diskFree) bytes are free where releases are stored, \(needed) needed")
    }
    if facts.systemd < 247 { problems.append("systemd \(facts.systemd) is older than 247") }
    let port = plan.agent.slots[candidate]
    for listener in facts.listeners where listener.port == port && listener.unit != agent.unit(candidate) {
      problems.append("port \(port) of the \(candidate.rawValue) slot is taken by \(listener.title)")
    }
    for listener in facts.listeners
    where listener.port == plan.agent.publicPort && plan.agent.traffic == .nftables {
      let isAdopted = plan.agent.adopt?.port == listener.port && from == .adopted
      let isOurs = listener.unit == agent.unit(.blue) || listener.unit == agent.unit(.green)
      if !isAdopted, !isOurs, plan.agent.adopt?.unit != listener.unit {
        problems.append(
          "the public port \(listener.port) is taken by \(listener.title); name it under adopt: to take it over"
        )
      }
    }
    return problems
  }

  /// Every dependency that does not hold. HTTP is asked by the prober through the host's own network.
  private func failedDependencies() async throws(StepFailure) -> [String] {
    var onHost: [Dependency] = []
    var problems: [String] = []
    for dependency in plan.agent.dependencies {
      guard case .http(let url, let status) = dependency else {
        onHost.append(dependency)
        continue
      }
      if let failure = try await httpFailure(url, status: status) {
        problems.append("\(dependency.title): \(failure)")
      }
    }
    guard !onHost.isEmpty else { return problems }
    let asked = HostRequest.check(onHost, deadline: .seconds(60))
    guard case .checked(let results) = try await session.ask(asked, within: .seconds(75)),
      results.count == onHost.count
    else { throw .wrongReply }
    for result in results {
      if let failure = result.failure { problems.append("\(result.dependency): \(failure)") }
    }
    return problems
  }

  private func httpFailure(_ url: String, status: Int) async throws(StepFailure) -> String? {
    guard let target = HTTPTarget(url) else { return "not an http or https URL" }
    let route: ProbeRoute
    do { route = try await session.channel.insideRoute(host: target.host, port: target.port) } catch {
      throw StepFailure(error)
    }
    let question: ProbeDefinition.Question =
      target.isTLS ? .https(path: target.path, verify: true) : .http(path: target.path)
    let sample = await prober.sample(
      ProbeRequest(
        probe: ProbeDefinition(question: question, expect: Expectation(status: status)), route: route,
        timeout: .seconds(10), version: nil))
    return sample.reason
  }

  /// Whether the public port can be probed from outside at all.
  private func obstaclesOutside() async throws(StepFailure) -> [String] {
    guard !plan.acceptLocalProbes else { return [] }
    do throws(DoorError) {
      _ = try await session.channel.outsideRoute(port: plan.agent.publicPort)
      return []
    } catch {
      return ["the public port can't be probed from outside: \(error); --accept-local-probes does without"]
    }
  }

  /// Why a side that has traffic can't be relied on; empty where it answers.
  func unhealthy(_ side: Side, version: Version?) async throws(StepFailure) -> [String] {
    guard let port = session.setup.port(of: side) else { return [] }
    note("looks whether the live version is healthy")
    let questions = try await questions(version: version, slot: side.slot ?? .blue, port: port, inside: true)
    var last = "no answer"
    for _ in 0..<3 {
      let round = await ask(questions)
      guard let bad = round.first(where: { !$0.isHealthy }) else { return [] }
      if bad.isNotAsked { throw StepFailure(.lost, bad.reason ?? last) }
      last = bad.reason ?? last
      if await !pause(plan.policy.gate.interval) { break }
    }
    return ["the live version on port \(port) is not healthy (\(last))"]
  }
}

extension PortOwner {
  /// How a line names the process.
  var title: String {
    let who = command.isEmpty ? "an unknown process" : escapedForTerminal(command)
    let what =
      pid > 0 ? "\(who) (process \(pid)" + (unit.isEmpty ? ")" : ", \(escapedForTerminal(unit)))") : who
    return what
  }
}

/// The parts of an `http://` or `https://` URL that a dependency names.
struct HTTPTarget {
  let isTLS: Bool
  let host: String
  let port: Int
  let path: String

  init?(_ url: String) {
    let rest: Substring
    if url.hasPrefix("https://") {
      isTLS = true
      rest = url.dropFirst(8)
    } else if url.hasPrefix("http://") {
      isTLS = false
      rest = url.dropFirst(7)
    } else {
      return nil
    }
    let authority = rest.prefix(while: { $0 != "/" && $0 != "?" })
    let tail = rest.dropFirst(authority.count)
    path = tail.isEmpty ? "/" : tail.hasPrefix("/") ? String(tail) : "/" + tail
    var name = authority
    var number = isTLS ? 443 : 80
    if authority.hasPrefix("[") {
      guard let close = authority.firstIndex(of: "]") else { return nil }
      name = authority[authority.index(after: authority.startIndex)..<close]
      let after = authority[authority.index(after: close)...]
      if !after.isEmpty {
        guard after.first == ":", let given = Int(after.dropFirst()) else { return nil }
        number = given
      }
    } else if let colon = authority.lastIndex(of: ":") {
      guard let given = Int(authority[authority.index(after: colon)...]) else { return nil }
      name = authority[..<colon]
      number = given
    }
    guard !name.isEmpty, !name.contains("@"), (1...65_535).contains(number) else { return nil }
    host = String(name)
    port = number
  }
}
