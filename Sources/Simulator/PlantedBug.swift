/// Errors that a test puts between the machines and the world, to see that a promise's check notices them.
public enum PlantedBug: String, CaseIterable, Sendable {
  /// The flip is ordered without a gate.
  case flipBeforeGate
  /// The flip is confirmed without a look from outside.
  case confirmUnseen
  /// The soak is left out.
  case promoteWithoutSoak
  /// One failure more is borne than the policy says.
  case budgetOffByOne
  /// One host more is in flight than the policy says.
  case batchOffByOne
  /// Effects begin before they are durable.
  case actBeforeAppend
  /// The last commit is gone after a crash although it was told to be durable.
  case forgetLastCommit
  /// A lost reply is taken for a success.
  case trustExitCode
  /// A probe without an answer is taken for healthy.
  case unknownIsHealthy
  /// A wrong version is taken for the right one.
  case versionIgnored
  /// The host takes any epoch.
  case epochIgnored
  /// The host forgets what was refused.
  case refusalForgotten
  /// The host forgets its floor.
  case floorForgotten
  /// The host's record is not made durable.
  case recordNotPersisted
  /// The revert timer is not armed.
  case timerForgotten
  /// A dead side is taken for one that answers, before traffic goes back to it.
  case deadSideAnswers
  /// A pause does not reach the engine.
  case pauseIgnored
  /// The drained side is stopped at once, although it is kept.
  case retainedStopped
  /// The guard does not look at the firewall.
  case guardAsleep
  /// A commit that was torn by a loss of power is taken as far as it is whole.
  case halfCommitTaken
  /// The host's record is put into its place before its bytes are on the disk.
  case recordNotFlushed
  /// A hook that failed is taken for one that passed.
  case hookFailureIgnored
  /// A hook is taken for passed as soon as it has begun.
  case hookNotAwaited
}
