import Controller
import PolicyFiles
import RolloutModel

/// What `plan --output json` prints.
struct PlanReport: Encodable {
  struct Wave: Encodable {
    var name: String
    var hosts: [String]
    var batch: Int
    var soak: String
    var approve: Bool
  }

  struct Entry: Encodable {
    var host: String
    var wave: String
    /// `upgrade`, `install`, `none` (the release is live already), `fail`, or `unknown` where the host was not asked.
    var action: String
    var live_version: String?
    var live_slot: String?
    var candidate_slot: String?
    /// By which door it was asked, and why, where there is a choice.
    var door: String?
    var problem: String?
  }

  /// What the first wave can tell: shares of hosts from 0 to 1, left out where every release passes.
  struct Canary: Encodable {
    var hosts: Int
    var failures_borne: Int
    var confidence: Double
    /// A release that fails on more is excluded once the canary has passed.
    var excluded_above: Double?
    /// A release that fails on so many passes every second time.
    var even_chance: Double?
  }

  /// A playbook that the rollout runs.
  struct Playbook: Encodable {
    var playbook: String
    var project: String
    /// Of the whole project, as it was frozen.
    var digest: String?

    init(_ planned: PlannedPlaybook) {
      playbook = planned.playbook
      project = planned.project
      digest = planned.digest?.hex
    }
  }

  var agent: String
  var version: String
  var policy: String
  var canary: Canary?
  /// What prepares each host; left out where nothing does.
  var prepare: Playbook?
  /// By the hook's name; left out where the policy has none.
  var hooks: [String: Playbook]?
  var archives: [ReleaseArchive]
  var waves: [Wave]
  /// The policy's waves that add no host here; they have no approval either.
  var left_out: [String]
  var hosts: [Entry]

  init(_ plan: Plan, surveyed: [SurveyedHost]?) {
    agent = plan.agent.name.text
    version = plan.release.version.text
    policy = plan.policy.name
    canary = CanaryPower(plan).map { power in
      Canary(
        hosts: power.hosts, failures_borne: power.borne, confidence: CanaryPower.confidence,
        excluded_above: power.excludedAbove, even_chance: power.evenChance)
    }
    hooks = plan.policy.hooks.map { hooks in
      let named = WaveHook.allCases.compactMap { hook in hooks[hook].map { (hook.rawValue, $0) } }
      return Dictionary(uniqueKeysWithValues: named).mapValues(Playbook.init)
    }
    prepare = plan.agent.prepare.map(Playbook.init)
    archives = plan.release.archives
    waves = plan.waves.map { wave in
      Wave(
        name: wave.name, hosts: wave.range.map { plan.hosts[$0].name }, batch: wave.batch,
        soak: wave.soak.description, approve: wave.approve)
    }
    left_out = PlannedWave.leftOut(of: plan.policy, in: plan.waves).map(\.name)
    hosts = plan.waves.flatMap { wave in
      wave.range.map { place in
        let found = surveyed.flatMap { $0.indices.contains(place) ? $0[place].result : nil }
        return Self.entry(plan.hosts[place].name, wave.name, found)
      }
    }
  }

  private static func entry(_ host: String, _ wave: String, _ found: Result<PreflightResult, StepFailure>?)
    -> Entry
  {
    switch found {
    case nil: Entry(host: host, wave: wave, action: "unknown")
    case .failure(let failure): Entry(host: host, wave: wave, action: "fail", problem: failure.reason)
    case .success(let result):
      Entry(
        host: host, wave: wave, action: result.isLive ? "none" : result.from == nil ? "install" : "upgrade",
        live_version: result.fromVersion, live_slot: result.from?.rawValue,
        candidate_slot: result.candidate.rawValue, door: result.way)
    }
  }
}
