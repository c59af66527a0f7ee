import RolloutModel

/// What is taken where a file is silent. docs/policy-reference.md and docs/agent-file.md show each with its reason;
/// a test holds them to these values.
enum Defaults {
  // Policy

  /// Small enough that a bad release takes little with it, large enough that a fleet is walked in ten steps.
  static let batch = Amount.share(basisPoints: 1000)
  /// Ten samples at the default interval: an agent that dies on its first work is seen.
  static let soak = Span.seconds(10)
  /// A person is asked only where the policy says so.
  static let approve = false
  /// One healthy answer can be luck; three in a row are not.
  static let successes = 3
  /// Fast enough to see a failure in seconds, slow enough to cost an agent nothing.
  static let interval = Span.seconds(1)
  /// An agent that needs longer for its health page is not healthy.
  static let timeout = Span.seconds(2)
  /// Slow starts of a minute pass; a hanging one is not waited for forever.
  static let deadline = Span.seconds(120)
  /// The canary is there to be believed.
  static let canaryBudget = Amount.count(0)
  /// Machines die by themselves; more than this is the release.
  static let waveBudget = Amount.share(basisPoints: 200)
  /// Over many waves a little more is chance.
  static let fleetBudget = Amount.share(basisPoints: 500)
  /// Machines that are switched off say nothing about the release, but many of them say that the network is broken.
  static let unreachableBudget = Amount.share(basisPoints: 1000)
  /// A fleet in one known state is worth more than half a rollout.
  static let onBreach = BreachAction.rollback
  /// Longer than a controller's restart, shorter than anybody's patience with a dead port.
  static let confirmWithin = Span.seconds(120)
  /// Rollback within the first hour is a flip.
  static let keepRunning = Span.seconds(3600)
  /// Rollback within a week is a start and a flip.
  static let keepInstalled = Span.seconds(7 * 86_400)
  /// A rollout reaches the whole fleet unless the policy says otherwise.
  static let partial = false
  /// One or two bad samples in a row can be the network's; the third is the agent's.
  static let soakTolerance = 2

  /// The gate of a policy that names none.
  static let gate = Gate(successes: successes, interval: interval, timeout: timeout, deadline: deadline)
  /// The budget of a policy that names none.
  static let budget = Budget(
    canary: canaryBudget, wave: waveBudget, fleet: fleetBudget, unreachable: unreachableBudget)
  /// The retention of a policy that names none.
  static let keepOld = Retention(running: keepRunning, installed: keepInstalled)

  // Agent file

  /// Archives with the program at their top.
  static let strip = 0
  /// The driver that needs nothing but the kernel.
  static let traffic = TrafficDriver.nftables
  /// Longer than most requests.
  static let drain = Span.seconds(30)
  /// Nearly every network service can run twice on two ports.
  static let concurrent = true
  /// What an HTTP server says when all is well.
  static let status = 200
  /// Certificates are checked unless the file says otherwise.
  static let verify = true
  /// The interpreter that a host calls by this name.
  static let interpreter = "python3"
  /// A container that changes its own files runs something that no gate has seen.
  static let readOnlyContainer = true
}
