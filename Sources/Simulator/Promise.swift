/// The promises that are checked, by their numbers.
public enum Promise: Int, CaseIterable, Sendable {
  case oneOwner = 1
  case oldSideRunnable = 2
  case gatedFlip = 3
  case unknownIsNotHealthy = 4
  case durableIntent = 5
  case replay = 6
  case twice = 7
  case batch = 8
  case budget = 9
  case waves = 10
  case digest = 11
  case floor = 12
  case refusal = 13
  case epoch = 14
  case unconfirmed = 15
  case rescue = 16
  case frozenPolicy = 17
  case growingJournal = 18
  case end = 19
  case pause = 20
  case sharedFailure = 21
  case livingSide = 22
  case hooks = 23

  /// The promise in a sentence.
  public var sentence: String {
    switch self {
    case .oneOwner:
      "The recorded owner, and nobody else, receives new connections outside a flip and the guard's second."
    case .oldSideRunnable:
      "The old side's files and unit are left alone until the host is promoted and the rollout has ended."
    case .gatedFlip: "No flip without a gate passed on this digest, boot and invocation within 60 s."
    case .unknownIsNotHealthy:
      "A gate passes only on answers that the candidate itself gave, healthy and of the right version."
    case .durableIntent: "An effect begins only once its intent is durable."
    case .replay: "Replaying the journal gives the live state."
    case .twice: "Every operation comes to an end, and done twice gives the result of once."
    case .batch: "Hosts in flight never exceed the batch."
    case .budget: "Once a budget is breached, no further host starts."
    case .waves: "A wave starts only after the one before has soaked."
    case .digest: "What runs in a slot is the release that is recorded for it, and was staged."
    case .floor: "No version below the host's floor is started, the recorded last good one aside."
    case .refusal:
      "A release that was rolled back on a host is not tried there again without a person saying so."
    case .epoch: "A command whose key is not the lease's changes nothing."
    case .unconfirmed:
      "A flip that nobody confirmed is undone by its deadline, unless the old side can't be made to answer."
    case .rescue:
      "A rollback on the host itself works without anybody, as long as the old side is kept and can answer."
    case .frozenPolicy: "A plan does not change under its rollout."
    case .growingJournal: "The journal only grows."
    case .end: "When faults stop, every host and the rollout come to an end."
    case .pause: "A pause stops new starts within 5 s."
    case .sharedFailure: "What fails in common never rolls a fleet back."
    case .livingSide:
      "Traffic is not moved to a dead side while the other lives, and a serving side is not stopped."
    case .hooks:
      "A wave begins only once its own first hook, and the last one of each wave before it, have passed."
    }
  }
}

/// A promise that was broken.
public struct Breach: Hashable, Sendable {
  /// Which.
  public var promise: Promise
  /// Where and how.
  public var what: String
}
