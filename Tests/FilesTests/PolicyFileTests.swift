import BadFiles
import FoundationEssentials
import Glibc
import MarkedYAML
import PolicyFiles
import RolloutModel
import Testing

@Suite("Policy files")
struct PolicyFileTests {
  static let full = """
    policy: canary
    waves:
      - {name: canary, hosts: 1, soak: 30s}
      - {name: early, hosts: 10%, batch: 5, soak: 1m, approve: true}
      - {name: rest, hosts: 100%, batch: 25%}
    gate: {successes: 3, interval: 1s, timeout: 2s, deadline: 2m}
    budget: {canary: 0, wave: 2%, fleet: 5%, unreachable: 10%}
    on_breach: rollback
    confirm_within: 2m
    keep_old: {running: 1h, installed: 7d}
    hooks: {before_wave: plays/checks.yml, after_wave: /srv/plays/verify.yml}
    """

  @Test("A policy may name the playbook that prepares hosts, by a path that begins at its own folder")
  func prepare() throws {
    func prepare(_ text: String) throws -> PlannedPlaybook? {
      try PolicyFile.parse(
        text: "policy: p\nwaves: [{name: all, hosts: 100%}]\n" + text, name: "/etc/p.yml"
      ).prepare
    }
    #expect(try prepare("") == nil)
    #expect(
      try prepare("prepare: plays/base.yml\n")
        == PlannedPlaybook(project: "/etc/plays", playbook: "base.yml", digest: nil))
    #expect(throws: FileProblems.self) { try prepare("prepare: [a.yml]\n") }
  }

  @Test("every key of a full policy is read")
  func readsAll() throws {
    let policy = try PolicyFile.parse(text: Self.full, name: "p.yml")
    #expect(policy.name == "canary")
    #expect(policy.waves.map(\.name) == ["canary", "early", "rest"])
    #expect(policy.waves.map(\.hosts) == [.count(1), .share(basisPoints: 1000), .share(basisPoints: 10_000)])
    #expect(policy.waves.map(\.batch) == [.share(basisPoints: 1000), .count(5), .share(basisPoints: 2500)])
    #expect(policy.waves.map(\.soak) == [.seconds(30), .seconds(60), .seconds(10)])
    #expect(policy.waves.map(\.approve) == [false, true, false])
    #expect(
      policy.gate == Gate(successes: 3, interval: .seconds(1), timeout: .seconds(2), deadline: .seconds(120)))
    #expect(
      policy.budget
        == Budget(
          canary: .count(0), wave: .share(basisPoints: 200), fleet: .share(basisPoints: 500),
          unreachable: .share(basisPoints: 1000)))
    #expect(policy.onBreach == .rollback)
    #expect(policy.confirmWithin == .seconds(120))
    #expect(policy.keepOld == Retention(running: .seconds(3600), installed: .seconds(604_800)))
    #expect(policy.partial == false)
    #expect(
      policy.hooks
        == WaveHooks(
          beforeWave: PlannedPlaybook(project: "plays", playbook: "checks.yml", digest: nil),
          afterWave: PlannedPlaybook(project: "/srv/plays", playbook: "verify.yml", digest: nil)))
  }

  @Test("a hook's path begins at the policy's folder, and each hook may be absent")
  func hookPaths() throws {
    func hooks(_ text: String, in file: String) throws -> WaveHooks? {
      try PolicyFile.parse(text: "policy: p\nwaves: [{name: all, hosts: 100%}]\n" + text, name: file).hooks
    }
    func playbook(_ project: String, _ playbook: String) -> PlannedPlaybook {
      PlannedPlaybook(project: project, playbook: playbook, digest: nil)
    }
    #expect(try hooks("", in: "p.yml") == nil)
    #expect(
      try hooks("hooks: {before_wave: a.yml}", in: "etc/p.yml")
        == WaveHooks(beforeWave: playbook("etc", "a.yml"), afterWave: nil))
    #expect(
      try hooks("hooks: {after_wave: ../a.yml}", in: "/etc/p.yml")
        == WaveHooks(beforeWave: nil, afterWave: playbook("/etc/..", "a.yml")))
    #expect(try hooks("hooks: {after_wave: a.yml}", in: "p.yml")?.afterWave == playbook(".", "a.yml"))
  }

  @Test("playbooks that are not there are told with their place, where a rollout would need them")
  func missingPlaybooks() throws {
    var template = Array("/tmp/policy-XXXXXX".utf8CString)
    let folder = String(cString: try #require(mkdtemp(&template)))
    defer { try? FileManager.default.removeItem(atPath: folder) }  // nothing depends on it
    let path = folder + "/p.yml"
    try Data(
      "policy: p\nwaves: [{name: all, hosts: 100%}]\nhooks: {before_wave: a.yml, after_wave: b.yml}\n".utf8
    )
    .write(to: URL(filePath: path))
    try Data("[]".utf8).write(to: URL(filePath: folder + "/a.yml"))
    #expect(try PolicyFile.load(path: path).hooks?.afterWave?.playbook == "b.yml")
    let problems = #expect(throws: FileProblems.self) {
      try PolicyFile.load(path: path, playbooksMustExist: true)
    }
    #expect(problems?.problems.count == 1)
    #expect(
      problems?.description.contains("p.yml:3:41: there is no playbook \"b.yml\": No such file or directory")
        == true,
      "\(String(describing: problems))")
    try Data("agent: x\nprepare: none.yml\n".utf8).write(to: URL(filePath: path))
    let agents = #expect(throws: FileProblems.self) {
      try AgentFile.load(path: path, forPlan: true)
    }
    #expect(agents?.description.contains("p.yml:2:10: there is no playbook \"none.yml\"") == true)
  }

  @Test("a policy may say no more than its name and one wave")
  func readsLeast() throws {
    let policy = try PolicyFile.parse(text: "policy: p\nwaves: [{name: all, hosts: 100%}]", name: "p.yml")
    #expect(
      policy.gate == Gate(successes: 3, interval: .seconds(1), timeout: .seconds(2), deadline: .seconds(120)))
    #expect(policy.onBreach == .rollback)
    #expect(policy.soakTolerance == 2 && policy.hooks == nil)
  }

  @Test("partial policies, fractions of a percent, aliases and merge keys are read")
  func readsLessUsual() throws {
    let text = """
      policy: p
      partial: true
      on_breach: halt
      waves:
        - &first {name: a, hosts: 0.5%, soak: 1h30m, batch: 100%}
        - {<<: *first, name: b, hosts: 50%}
      budget: {wave: 0.25%}
      """
    let policy = try PolicyFile.parse(text: text, name: "p.yml")
    #expect(policy.waves[0].hosts == .share(basisPoints: 50))
    #expect(policy.waves[1].hosts == .share(basisPoints: 5000))
    #expect(policy.waves[1].soak == .seconds(5400))
    #expect(policy.budget.wave == .share(basisPoints: 25))
    #expect(policy.partial && policy.onBreach == .halt)
  }

  @Test("a byte order mark and CR LF line ends are no problem")
  func readsWindowsFiles() throws {
    let text = "\u{FEFF}" + Self.full.split(separator: "\n").joined(separator: "\r\n") + "\r\n"
    #expect(try PolicyFile.parse(text: text, name: "p.yml").waves.count == 3)
  }

  @Test(
    "the ready policies load",
    arguments: ["canary", "cautious", "fast-hotfix", "all-at-once-lab", "by-percent"])
  func readyPoliciesLoad(name: String) throws {
    #expect(try PolicyFile.load(path: repositoryRoot + "policies/\(name).yml").name == name)
  }

  @Test("a bad policy is refused at the right place, with the right word", arguments: BadPolicies.all)
  func refuses(bad: BadFile) {
    bad.check { try PolicyFile.parse($0, name: "p.yml") }
  }

  @Test("with the fleet known, counts and shares are compared")
  func comparesWithFleet() throws {
    let mixed =
      "policy: p\nwaves:\n  - {name: a, hosts: 10%}\n  - {name: b, hosts: 5}\n  - {name: c, hosts: 100%}"
    #expect(try PolicyFile.parse(text: mixed, name: "p.yml", fleet: 50).waves.count == 3)
    var error = #expect(throws: FileProblems.self) {
      try PolicyFile.parse(text: mixed, name: "p.yml", fleet: 100)
    }
    #expect(try #require(error).description.contains("p.yml:4:22: of 100 hosts, the wave ends at 5"))
    let short = "policy: p\nwaves:\n  - {name: a, hosts: 5}"
    #expect(try PolicyFile.parse(text: short, name: "p.yml").waves.count == 1)
    #expect(try PolicyFile.parse(text: short, name: "p.yml", fleet: 5).waves.count == 1)
    #expect(try PolicyFile.parse(text: short + "\npartial: true", name: "p.yml", fleet: 6).partial)
    error = #expect(throws: FileProblems.self) { try PolicyFile.parse(text: short, name: "p.yml", fleet: 6) }
    #expect(try #require(error).description.contains("p.yml:3:22: the last wave stops at 5 of 6 hosts"))
  }

  @Test("all problems of a file are reported at once, in order, and at most 50")
  func reportsAllProblems() throws {
    let text = "policy: p\nwaves:\n" + (0..<60).map { "  - {name: w\($0), hosts: 0, btch: 1}\n" }.joined()
    let error = #expect(throws: FileProblems.self) { try PolicyFile.parse(text: text, name: "dir/p.yml") }
    let problems = try #require(error).problems
    #expect(problems.count == 50)
    #expect(try #require(error).omitted == 70)
    #expect(problems.map(\.place) == problems.map(\.place).sorted())
    #expect(problems[0].description.hasPrefix("dir/p.yml:3:"))
  }

  @Test("damaged policies never crash the reader")
  func survivesDamage() {
    var refused = 0
    for variant in damaged(Self.full, count: 700) {
      do {
        _ = try PolicyFile.parse(variant, name: "p.yml")
      } catch {
        refused += 1
        #expect(!error.problems.isEmpty)
      }
    }
    #expect(refused > 700)
  }
}
