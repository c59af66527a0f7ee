import HostProtocol
import Ports
import RolloutModel
import Synchronization
import Testing

@testable import HostSteps

@Suite("A live side that somebody has stopped")
struct StoppedSideTests {
  @Test("It is no obstacle to a plan, which says so and starts nothing")
  func preflight() async throws {
    let bench = try StoppedBench()
    guard case .cleared(let result) = await bench.run(.preflight) else {
      Issue.record("the preflight did not pass")
      return
    }
    #expect(result.isStopped == true && result.from == .blue && result.candidate == .green)
    #expect(await bench.host.asked == ["facts"])
  }

  @Test("It is started and seen healthy before the lease is taken, and only then is anything staged")
  func started() async throws {
    let bench = try StoppedBench()
    #expect(await bench.run(.stage(again: false)) == .staged)
    #expect(await bench.host.asked == ["observe", "start demo-blue.service", "acquire", "stage"])
  }

  @Test("Answers are waited for, as long as the gate's deadline allows")
  func slow() async throws {
    let bench = try StoppedBench()
    await bench.host.set(silentLooks: 7)
    #expect(await bench.run(.stage(again: false)) == .staged)
  }

  @Test(
    "Where it doesn't start, or doesn't answer, the host is not fit, and is left as it was found",
    arguments: [true, false])
  func dead(starts: Bool) async throws {
    let bench = try StoppedBench()
    await bench.host.set(starts: starts, silentLooks: .max)
    guard case .failed(let failure) = await bench.run(.stage(again: false)) else {
      Issue.record("it was staged without a way back")
      return
    }
    #expect(failure.kind == .precondition && failure.reason.contains("no way back"))
    #expect(failure.reason.contains(starts ? "is not healthy" : "does not start"))
    #expect(failure.lastLines == (starts ? [] : ["it would not"]))
    #expect(
      await bench.host.asked == ["observe", "start demo-blue.service", "stop demo-blue.service"])
  }

  @Test("Somebody else has started it meanwhile: it's seen healthy all the same, and not started again")
  func meanwhile() async throws {
    let bench = try StoppedBench()
    await bench.host.set(state: "active")
    #expect(await bench.run(.stage(again: false)) == .staged)
    #expect(await bench.host.asked == ["observe", "acquire", "stage"])
  }

  @Test(
    "One that has failed, or was never seen stopped, is not started", arguments: ["failed", "activating"])
  func failed(state: String) async throws {
    let bench = try StoppedBench()
    await bench.host.set(state: state, silentLooks: .max)
    guard case .failed(let failure) = await bench.run(.preflight) else {
      Issue.record("the preflight passed")
      return
    }
    #expect(failure.kind == .precondition && failure.reason.contains("no way back"))
    #expect(await bench.host.asked == ["facts"])
  }

  @Test("Nothing flipped, it need not serve: it stays stopped, or goes on where it is well")
  func leftAsFound() async throws {
    let undo = HostStep.restore(refuse: false, reason: "the rollout was aborted")
    for (state, silentLooks, end) in [
      ("inactive", Int.max, []), ("active", 0, []), ("active", Int.max, ["stop demo-blue.service"]),
    ] {
      let bench = try StoppedBench()
      await bench.host.set(state: state, silentLooks: silentLooks)
      #expect(await bench.run(undo) == .restored, "\(state)")
      #expect(await bench.host.asked.filter { $0 != "observe" } == end, "\(state)")
    }
  }

  @Test("A side that was live is not asked for again before the lease")
  func live() async throws {
    let bench = try StoppedBench(isStopped: nil)
    #expect(await bench.run(.stage(again: false)) == .staged)
    #expect(await bench.host.asked == ["acquire", "stage"])
  }

  @Test("Where another controller has the lease the host refuses, and nothing is changed")
  func held() async throws {
    let bench = try StoppedBench()
    await bench.host.set(refusal: HostFailure(.leaseHeld, "somebody has the lease"))
    guard case .failed(let failure) = await bench.run(.stage(again: false)) else {
      Issue.record("it was staged")
      return
    }
    #expect(failure.kind == .leaseLost)
    // Looked at once more, to tell another controller of the same rollout from a stranger.
    #expect(await bench.host.asked == ["observe", "start demo-blue.service", "observe"])
  }
}

/// One host whose live side is stopped, and the steps that meet it.
private struct StoppedBench {
  let host: StoppableHost
  private let runner: StepRunner

  init(isStopped: Bool? = true) throws {
    let agent = AgentDefinition(
      name: try #require(AgentName("demo")), user: "root", strip: 0, exec: "bin/agent", args: [],
      environment: [], slots: SlotPorts(blue: 7001, green: 7002), publicPort: 8400, traffic: .nftables,
      drain: .seconds(30), concurrent: true, unitTemplate: nil, adopt: nil,
      health: [ProbeDefinition(question: .tcp)], dependencies: [])
    let everybody = Amount.share(basisPoints: 10_000)
    let wave = WaveDefinition(
      name: "all", hosts: everybody, batch: everybody, soak: .seconds(1), approve: false)
    let policy = Policy(
      name: "sample", waves: [wave],
      gate: Gate(successes: 1, interval: .seconds(1), timeout: .seconds(2), deadline: .seconds(20)),
      budget: Budget(canary: .count(0), wave: .count(0), fleet: .count(0), unreachable: .count(0)),
      onBreach: .rollback, confirmWithin: .seconds(120),
      keepOld: Retention(running: .seconds(60), installed: .seconds(60)), partial: false, soakTolerance: 0)
    let digest = try #require(Digest(String(repeating: "ab", count: 32)))
    func archive(_ path: String) -> ReleaseArchive {
      ReleaseArchive(architecture: "x86_64", path: path, digest: digest, bytes: 1000)
    }
    let plan = Plan(
      id: "r-1", agent: agent, policy: policy,
      release: Release(version: try #require(Version("2.0.0")), archives: [archive("new.tar")]),
      hosts: [Host(name: "h0", address: "h0")], waves: PlannedWave.waves(of: policy, total: 1),
      acceptLocalProbes: false, again: nil, takeOver: nil, owner: "somebody@somewhere")
    let old = IdentifiedRelease(
      manifest: ReleaseManifest(
        agent: agent, version: try #require(Version("1.0.0")), archive: archive("old.tar")), digest: digest)
    host = StoppableHost(old)
    let time = TurnedTime()
    let session = HostSession(
      host: plan.hosts[0], setup: AgentSetup(agent: agent, host: "h0"), channel: host,
      identity: ControllerIdentity(id: "c", holder: "somebody", purpose: "rollout r-1", takesOver: false),
      time: time)
    var known = HostKnowledge(flip: "r-1-0-1")
    known.architecture = "x86_64"
    known.from = .blue
    known.fromVersion = "1.0.0"
    known.candidate = .green
    known.isStopped = isStopped
    runner = StepRunner(
      plan: plan, releases: ReleaseIdentities(of: plan), session: session, known: known,
      prober: PortProber(host: host), time: time, note: { _ in })
  }

  func run(_ step: HostStep) async -> StepOutcome { await runner.run(step) }
}

/// A host that says what it was asked for.
private actor StoppableHost: HostChannel {
  private(set) var asked: [String] = []
  private var state = "inactive"
  private var starts = true
  private var silentLooks = 0
  private var refusal: HostFailure?
  private let old: IdentifiedRelease

  init(_ old: IdentifiedRelease) { self.old = old }

  func set(state: String? = nil, starts: Bool = true, silentLooks: Int = 0, refusal: HostFailure? = nil) {
    self.state = state ?? self.state
    self.starts = starts
    self.silentLooks = silentLooks
    self.refusal = refusal
  }

  /// Whether the live side answers a probe.
  func answers() -> Bool {
    guard silentLooks == 0 else {
      silentLooks -= 1
      return false
    }
    return state == "active"
  }

  func call(_ request: HostRequest, within limit: Duration) async throws(DoorError) -> HostReply {
    switch request {
    case .facts:
      asked.append("facts")
      return .facts(
        HostFacts(
          architecture: "x86_64", kernel: "6", system: "", systemd: 252, diskFree: 1 << 40,
          memoryAvailable: 1 << 30, userExists: true, listeners: [], foreignUnits: [], trafficObstacle: nil,
          agent: status))
    case .observe:
      asked.append("observe")
      return .status(status)
    case .service(let order):
      asked.append("\(order.action) \(order.unit)")
      if let refusal { return .failed(refusal) }
      state = order.action == .stop ? "inactive" : starts ? "active" : "failed"
      return .service(
        ServiceReport(
          unit: unit("demo-blue.service", state), type: "notify", since: nil, age: nil,
          job: starts ? "done" : "failed", isAsAsked: starts, lastLines: starts ? [] : ["it would not"]))
    case .acquire(let request):
      asked.append("acquire")
      return .lease(
        Lease(
          key: LeaseKey(controller: request.controller, epoch: 1), holder: request.holder,
          reason: request.reason, remaining: request.ttl))
    default: return .failed(HostFailure(.unsupported, "not pretended"))
    }
  }

  func stage(
    _ release: IdentifiedRelease, from path: String, key: LeaseKey, progressWithin: Duration
  ) async throws(DoorError) -> HostReply {
    asked.append("stage")
    return .staged(have: release.manifest.archiveBytes)
  }

  func insideRoute(host: String, port: Int) async throws(DoorError) -> ProbeRoute {
    .tunnel(socket: "h0", address: host, port: port)
  }

  func outsideRoute(port: Int) async throws(DoorError) -> ProbeRoute { .direct(address: "h0", port: port) }
  func close() async {}

  private var status: AgentStatus {
    AgentStatus(
      bootID: "boot-1", now: Moment(milliseconds: 0), owner: .blue, disturbance: nil,
      slots: [
        SlotStatus(slot: .blue, release: old, unit: unit("demo-blue.service", state)),
        SlotStatus(slot: .green, release: nil, unit: unit("demo-green.service", "inactive")),
      ], adopted: nil, flip: nil, retained: nil, lease: nil, lastLease: nil, quarantine: nil, refused: [],
      lastLines: [])
  }

  private func unit(_ name: String, _ state: String) -> UnitStatus {
    UnitStatus(
      unit: name, loadState: "loaded", activeState: state, subState: "", invocation: "", restarts: 0,
      result: state == "failed" ? "exit-code" : "success", exitStatus: 0, mainPID: 0)
  }
}

/// Asks the host's live side.
private struct PortProber: Prober {
  let host: StoppableHost

  func sample(_ request: ProbeRequest) async -> Sample {
    Sample(outcome: await host.answers() ? .healthy : .noAnswer("connection refused"), took: .zero)
  }
}

/// Time that only passes where somebody waits.
private final class TurnedTime: Timekeeper {
  private let moment = Mutex<Int64>(0)
  var now: Moment { Moment(milliseconds: moment.withLock { $0 }) }
  var wall: Int64 { 0 }
  var chance: UInt64 { 0 }
  func sleep(_ span: Span) async throws { moment.withLock { $0 += span.milliseconds } }
}
