import ArgumentParser
import Controller
import RolloutModel

struct PlanVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Show which hosts go in which wave and what would be done; changes nothing.")

  @OptionGroup var options: PlanOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "Read only the files; ask no host.")
  var offline = false

  func run() async throws {
    let plan = try await PlanBuilder(options: options).plan(id: RunID.make)
    var surveyed: [SurveyedHost]?
    if offline {
      // Its files are read as those of the plan are.
      if plan.agent.rpc != nil { try await Workshop.check(through: plan.agent.rpc) }
    } else {
      surveyed = try await Workshop.use(through: plan.agent.rpc) { workshop in
        await Survey.run(
          plan, world: workshop.world(journal: NoJournal()),
          identity: workshop.identity(purpose: "plan", takesOver: false))
      }
    }
    if output.isJSON {
      try Output.json(PlanReport(plan, surveyed: surveyed))
    } else {
      Output.styled { PlanText(plan: plan, findings: (surveyed ?? []).map(\.result), symbols: $0).lines() }
    }
    let failing = (surveyed ?? []).filter { if case .failure = $0.result { true } else { false } }
    if !failing.isEmpty {
      throw CommandError(
        code: CommandError.hostsWouldFail,
        description: "\(failing.count) of \(plan.hosts.count) hosts would fail")
    }
  }
}
