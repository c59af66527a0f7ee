import RolloutModel

extension HostStep {
  /// Whether the step can have come to this: an outcome of another kind proves nothing.
  func canEnd(in outcome: StepOutcome) -> Bool {
    switch (self, outcome) {
    case (_, .failed), (_, .cancelled), (.preflight, .cleared), (.stage, .staged), (.start, .started),
      (.gate, .gatePassed), (.flip, .flipped), (.prove, .proven), (.confirm, .confirmed), (.soak, .soaked),
      (.promote, .promoted), (.restore, .restored), (.reconcile, .standing), (.retain, .retained):
      true
    default: false
    }
  }
}

extension StepFailure {
  /// The step answered with another step's outcome.
  static func misplaced(_ outcome: StepOutcome, _ step: HostStep) -> StepFailure {
    StepFailure(
      .lost, "the \(step.word) step answered with another step's outcome", hint: "report this as a bug")
  }
}
