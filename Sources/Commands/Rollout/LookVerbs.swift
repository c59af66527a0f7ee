import ArgumentParser
import JournalStore
import RolloutEngine
import RolloutModel

struct StatusVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show how a rollout stands.")
  @OptionGroup var rollout: RolloutOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let rollouts = try Rollouts.read(rollout.state)
    let found = try await rollouts.find(rollout.id)
    let snapshot = try await Look.snapshot(rollouts, found.id)
    if output.isJSON { try Output.json(snapshot) } else { Look.show(snapshot) }
  }
}

struct ListVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List rollouts, newest first.")
  @OptionGroup var state: StateOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    var listed: [(summary: RolloutSummary, snapshot: RolloutSnapshot)] = []
    var damaged: [String] = []
    // Before the first rollout there is no journal, and none is made for a look.
    if try JournalStore.isPresent(in: try state.checked()) {
      let rollouts = try Rollouts.read(state)
      for summary in try await rollouts.store.rollouts() {
        do { listed.append((summary, try await Look.snapshot(rollouts, summary.id))) } catch {
          damaged.append("\(error)")
        }
      }
    }
    if output.isJSON {
      try Output.json(listed.map { ListRow($0.snapshot, createdAt: $0.summary.createdAt) })
    } else if listed.isEmpty, damaged.isEmpty {
      Output.line("no rollouts in \(state.directory)")
    } else {
      Output.styled { _ in StatusText.list(listed.map(\.snapshot), now: SystemTimekeeper().wall) }
    }
    // Those that are whole are listed all the same.
    guard damaged.isEmpty else {
      throw CommandError.tool("the list lacks what can't be read: \(damaged.joined(separator: "; "))")
    }
  }
}

/// One rollout of `list --output json`.
struct ListRow: Encodable {
  var id: String
  var agent: String
  var version: String
  var policy: String
  var created_at: Int64
  var state: RolloutState

  init(_ snapshot: RolloutSnapshot, createdAt: Int64) {
    id = snapshot.id
    agent = snapshot.agent
    version = snapshot.version
    policy = snapshot.policy
    created_at = createdAt
    state = snapshot.state
  }
}

struct WatchVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch", abstract: "Follow a rollout until it rests; its exit code is the rollout's.")
  @OptionGroup var rollout: RolloutOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("Give up after this time, with exit code 124.", valueName: "D"))
  var timeout: String?

  func run() async throws {
    let time = SystemTimekeeper()
    var deadline: Moment?
    if let timeout {
      guard let span = Span(timeout) else {
        throw CommandError.invalid(
          "--timeout \(escapedForTerminal(timeout)): not a duration; write 30s, 5m or 1h30m")
      }
      deadline = time.now + span
    }
    let rollouts = try Rollouts.read(rollout.state)
    let found = try await rollouts.find(rollout.id)
    let view = RolloutView.make(of: found.id, output.output)
    do { try await follow(found.id, rollouts, view, until: deadline) } catch {
      await view.settle()
      throw error
    }
  }

  private func follow(
    _ id: String, _ rollouts: Rollouts, _ view: RolloutView, until deadline: Moment?
  ) async throws {
    let time = SystemTimekeeper()
    let follower = RolloutFollower(rollouts, id)
    // A picture that can not be read now is drawn the next time; the loop below tells the error.
    view.follow { try? await Look.snapshot(rollouts, follower) }
    while true {
      // Asked before the journal is read, so that nothing that came before the end is missed.
      let isDriven = try rollouts.holder(id) != nil
      let snapshot = try await Look.snapshot(rollouts, follower)
      view.take(snapshot)
      if snapshot.state.isEnd || !isDriven {
        await view.end(with: snapshot)
        throw ExitCode(snapshot.state.exitCode)
      }
      if let deadline, time.now >= deadline {
        throw CommandError(
          code: CommandError.timedOut, description: "rollout \(id) is still \(snapshot.state.rawValue)")
      }
      try await time.sleep(Span(milliseconds: 300))
    }
  }
}

struct ExplainVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say why a rollout, or one of its hosts, stands as it does.")
  @OptionGroup var state: StateOptions
  @OptionGroup var output: OutputOptions

  @Argument(help: "[ID] [HOST]: the newest rollout where no ID is given.")
  var words: [String] = []

  func run() async throws {
    let rollouts = try Rollouts.read(state)
    guard words.count <= 2 else { throw CommandError.invalid("explain takes at most ID and HOST") }
    let (summary, host) = try await target(rollouts)
    let snapshot = try await Look.snapshot(rollouts, summary.id)
    guard let host else {
      if output.isJSON { try Output.json(snapshot) } else { Look.show(snapshot) }
      return
    }
    guard let found = snapshot.hosts.first(where: { $0.host == host }) else {
      throw CommandError.invalid("\(escapedForTerminal(host)) is no host of rollout \(summary.id)")
    }
    if output.isJSON {
      try Output.json(found)
      return
    }
    Output.line(LogLine.summary(found))
    try await RolloutLog(rollouts: rollouts, id: summary.id).print(host: host)
  }

  /// A single word is a rollout where there is one of that name, else a host of the newest.
  private func target(_ rollouts: Rollouts) async throws -> (RolloutSummary, String?) {
    guard let first = words.first else { return (try await rollouts.find(nil), nil) }
    if words.count == 2 { return (try await rollouts.find(first), words[1]) }
    if let named = try await rollouts.store.rollouts(.named(first)).first { return (named, nil) }
    return (try await rollouts.find(nil), first)
  }
}

struct LogsVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logs", abstract: "Print what happened, from the journal, in order.")
  @OptionGroup var rollout: RolloutOptions
  @OptionGroup var output: OutputOptions

  @Option(help: "Only this host.")
  var host: String?

  @Flag(help: "Go on until the rollout rests.")
  var follow = false

  func run() async throws {
    let rollouts = try Rollouts.read(rollout.state)
    let found = try await rollouts.find(rollout.id)
    let log = RolloutLog(rollouts: rollouts, id: found.id)
    let names = try await rollouts.replay(found.id).engine.plan.hosts.map(\.name)
    let place = host.flatMap { names.firstIndex(of: $0) }
    if let host, place == nil {
      throw CommandError.invalid("\(escapedForTerminal(host)) is no host of rollout \(found.id)")
    }
    if output.isJSON {
      try await log.forEach(follow: follow) {
        if place == nil || $0.entry.host == place { try Output.json($0, pretty: false) }
      }
    } else {
      try await log.print(host: host, follow: follow)
    }
  }
}

/// What looking verbs share.
enum Look {
  static func show(_ snapshot: RolloutSnapshot) {
    Output.styled { StatusText.status(snapshot, now: SystemTimekeeper().wall, symbols: $0) }
  }

  /// The rollout as its journal says; where it should be running and nobody drives it, the reason says so.
  static func snapshot(_ rollouts: Rollouts, _ id: String) async throws -> RolloutSnapshot {
    try await snapshot(rollouts, RolloutFollower(rollouts, id))
  }

  /// The same for whoever looks again and again.
  static func snapshot(_ rollouts: Rollouts, _ follower: RolloutFollower) async throws -> RolloutSnapshot {
    var snapshot = try await follower.advance().snapshot()
    let id = snapshot.id
    // One that rests as it should has nothing in flight.
    let isAtWork =
      !snapshot.state.isEnd
      && (snapshot.state == .running || snapshot.state == .rollingBack || snapshot.counts.inFlight > 0)
    if isAtWork, try rollouts.holder(id) == nil {
      let note = "no controller is at work; `switchyard rollout resume \(id)` takes it up"
      snapshot.reason = snapshot.reason.isEmpty ? note : "\(snapshot.reason); \(note)"
    }
    return snapshot
  }
}
