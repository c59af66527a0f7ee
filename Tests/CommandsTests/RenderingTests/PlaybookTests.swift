import FoundationEssentials
import RolloutModel
import Testing

@testable import Commands

@Suite("Runs of playbooks, as they are told")
struct PlaybookTests {
  private static func host(
    _ name: String, _ outcome: PlaybookHostReport.Outcome, task: String = "", ok: Int = 1
  ) -> PlaybookHostReport {
    var counts = PlaybookCounts()
    counts.ok = ok
    return PlaybookHostReport(
      host: name, outcome: outcome, counts: counts, door: PlaybookDoorChoice(.ssh, why: "as asked"),
      failedTask: task,
      reason: "")
  }

  private static func ended(_ hosts: [PlaybookHostReport], isLate: Bool = false, isInterrupted: Bool = false)
    -> PlaybookWork.Ended
  {
    var report = PlaybookReport(playbook: "p.yml", digest: "", hosts: hosts)
    report.isLate = isLate
    return PlaybookWork.Ended(report: report, isInterrupted: isInterrupted, run: nil)
  }

  @Test("The exit code says whether all, some or none have done it")
  func codes() {
    let (good, bad) = (Self.host("a", .changed), Self.host("b", .failed))
    #expect(Self.ended([good, Self.host("b", .skipped)]).code == nil)
    #expect(Self.ended([good, bad]).code == 7)
    #expect(Self.ended([bad, Self.host("c", .unreachable)]).code == 1)
    #expect(Self.ended([good, Self.host("b", .unmatched)]).code == 7)
    #expect(Self.ended([good, bad], isLate: true).code == 124)
    #expect(Self.ended([good, bad], isLate: true, isInterrupted: true).code == 8)
  }

  @Test(
    "A run's name can stand in a path, whatever the playbook is called",
    arguments: [
      ("plays/site.yml", "playbook-site-"), ("../x y;z.yml", "playbook-x-y-z-"), ("", "playbook--"),
    ])
  func names(path: String, start: String) {
    let id = RunID.make(playbook: path)
    #expect(id.hasPrefix(start))
    #expect(RunID.isPossible(id))
  }

  @Test("A deployment's exit code says what hosts run now")
  func deployments() {
    func code(_ hosts: [PlaybookHostReport], seen: [String: String] = [:]) -> Int32? {
      ServiceOutcome(ended: Self.ended(hosts), seen: seen).code
    }
    let done = Self.host("a", .changed)
    let restored = Self.host("b", .failed, task: "Say what happened")
    #expect(code([done]) == nil)
    #expect(code([restored, restored]) == 3)
    #expect(code([done, restored]) == 7)
    #expect(code([done, Self.host("c", .failed, task: "Say that there is no way back")]) == 4)
    #expect(code([restored, Self.host("c", .lost)]) == 4)
    #expect(code([Self.host("c", .failed, task: "Check the values")]) == 2)
    #expect(code([done, Self.host("c", .unreachable, ok: 0)]) == 7)
    #expect(code([done, Self.host("c", .unreachable, ok: 3)]) == 4)
    #expect(code([done], seen: ["a": "no answer"]) == 4)
    let away = Self.host("c", .unreachable, ok: 0)
    #expect(code([away, away]) == 1)
    #expect(code([restored, away]) == 1)
    #expect(code([Self.host("c", .failed, task: "Check that the host can be prepared", ok: 4)]) == 2)
    // Ansible counts its check of the role's values, which needs no host.
    #expect(code([Self.host("c", .unreachable, task: "Look at the host", ok: 3)]) == 1)
    #expect(code([done, Self.host("c", .failed, task: "Look at the host", ok: 3)]) == 7)
    var judged = Self.host("c", .failed, task: "Judge them before they are used")
    judged.counts.changed = 2
    #expect(code([judged]) == 3, "what was installed before stays")
  }

  @Test("Each service has its playbook", arguments: DeployedService.allCases)
  func playbooks(service: DeployedService) {
    #expect(service.playbook == "deploy_\(service.rawValue).yml")
    #expect(service.variable("config_file") == "\(service.rawValue)_config_file")
  }

  @Test("A playbook's path is taken apart into project and playbook")
  func places() throws {
    func place(_ file: String, _ project: String? = nil) throws -> [String] {
      let place = try PlaybookRunVerb.place(file, in: project)
      return [place.project, place.playbook]
    }
    #expect(try place("site.yml") == [".", "site.yml"])
    #expect(try place("/a/b/site.yml") == ["/a/b", "site.yml"])
    #expect(try place("/a/b/site.yml", "/a") == ["/a", "b/site.yml"])
    #expect(try place("b/site.yml", "/a/") == ["/a/", "b/site.yml"])
    #expect(throws: CommandError.self) { try place("/c/site.yml", "/a") }
  }

  @Test(
    "A probe from here is read, and nothing else",
    arguments: [
      "", "http", "http:", "http:0", "http:99999", "ftp:21", "tcp:22/x", "http:80/a b", "http:80/\u{1b}",
    ])
  func badProbes(text: String) { #expect(throws: CommandError.self) { try OutsideProbe(text) } }

  @Test("On a terminal hosts in trouble stand first, and lines fit")
  func progress() {
    var progress = PlaybookProgress(playbook: "p.yml", isCheck: false, hosts: ["a", "b", "c"])
    let task = PlaybookTask(name: "Do\u{1b}[31m it", play: "P")
    progress.take(.task(task, host: nil))
    progress.take(.result(PlaybookTaskResult(host: "a", task: task, outcome: .ok, message: "")))
    progress.take(.ended(Self.host("c", .failed, task: "T")))
    progress.take(.ended(Self.host("unknown", .failed, task: "T")))
    let lines = progress.lines(TerminalSize(columns: 40, rows: 24), .ascii)
    #expect(lines.count == 4)
    #expect(lines[1].plain.contains("c"))
    #expect(lines[2].plain.contains("1 ok"))
    #expect(lines.allSatisfy { $0.width <= 40 && !$0.plain.contains("\u{1b}") })
    #expect(progress.lines(TerminalSize(columns: 40, rows: 4), .ascii).count == 3)
  }
}
