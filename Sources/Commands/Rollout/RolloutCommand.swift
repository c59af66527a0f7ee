import ArgumentParser

struct RolloutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollout", abstract: "Plan, run, watch and undo rollouts.",
    subcommands: [
      PlanVerb.self, StartVerb.self, StatusVerb.self, ListVerb.self, WatchVerb.self, ExplainVerb.self,
      LogsVerb.self,
      PauseVerb.self, ResumeVerb.self, ApproveVerb.self, AbortVerb.self, RollbackVerb.self, SkipVerb.self,
      RetryVerb.self,
    ])
}

/// The rollout that a verb is about.
struct RolloutOptions: ParsableArguments {
  @Argument(help: "The rollout; the newest where none is named.")
  var id: String?

  @OptionGroup var state: StateOptions
}
