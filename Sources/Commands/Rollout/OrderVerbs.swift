import ArgumentParser
import Controller
import JournalStore
import RolloutEngine
import RolloutModel

/// Brings a person's order to a rollout: to its running controller, or by driving the rollout here.
struct OrderSender {
  let rollouts: Rollouts
  let output: OutputFormat
  /// Whether standard output tells what happens, where the rollout is driven here.
  var isShown = true

  /// Answers with how the rollout stands behind the order; `untilEnd` waits for the end of what the order began.
  func send(_ order: Order, to id: String, untilEnd: Bool) async throws -> RolloutState {
    let time = SystemTimekeeper()
    let patience = time.now + Span.seconds(30)
    while true {
      if let reply = try await tell(order, id) { return untilEnd ? try await wait(id) : reply.state }
      // A controller that comes or goes has the lock and does not listen.
      guard let holder = try rollouts.holder(id) else {
        return try await RolloutDriver(rollouts: rollouts, output: output, isShown: isShown).drive(
          id, orders: [order])
      }
      guard time.now < patience else {
        throw CommandError.tool("the controller of rollout \(id) does not listen: \(holder)")
      }
      try await time.sleep(Span(milliseconds: 100))
    }
  }

  /// Nil where nobody has taken the order.
  private func tell(_ order: Order, _ id: String) async throws -> ControlReply? {
    do throws(ControlError) {
      return try await ControlSocket.send(order, to: rollouts.controlSocket(id), seconds: 15)
    } catch {
      guard error.isNobodyThere else { throw CommandError.tool("\(error)") }
      return nil
    }
  }

  /// Waits until the controller that is at work has brought the rollout to rest.
  func wait(_ id: String) async throws -> RolloutState {
    let follower = RolloutFollower(rollouts, id)
    while true {
      // Asked before the journal is read, so that nothing that came before the end is missed.
      let isDriven = try rollouts.holder(id) != nil
      let state = try await follower.advance().state
      if state.isEnd || !isDriven { return state }
      try await SystemTimekeeper().sleep(Span(milliseconds: 200))
    }
  }
}

struct PauseVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "pause", abstract: "Start no further host.")
  @OptionGroup var rollout: RolloutOptions
  @OptionGroup var why: ReasonOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let rollouts = try Rollouts.change(rollout.state)
    let found = try await rollouts.find(rollout.id)
    guard try rollouts.holder(found.id) != nil else {
      if try await rollouts.replay(found.id).engine.state == .paused {
        return try Reply.report(found.id, .paused, output)
      }
      throw CommandError.invalid("rollout \(found.id) has no running controller: nothing is being started")
    }
    let state = try await OrderSender(rollouts: rollouts, output: output.output).send(
      Order(.pause, reason: why.reason, by: Person.name), to: found.id, untilEnd: false)
    try Reply.report(found.id, state, output)
    // Paused is what was asked for.
    if state != .paused { throw ExitCode(state.exitCode) }
  }
}

struct ResumeVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Go on with a paused rollout, or take one up whose controller died.")
  @OptionGroup var rollout: RolloutOptions
  @OptionGroup var why: ReasonOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await GoOn.run(.resume, rollout, why, output)
  }
}

struct ApproveVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "approve", abstract: "Let the waiting wave start.")
  @OptionGroup var rollout: RolloutOptions
  @OptionGroup var why: ReasonOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await GoOn.run(.approve, rollout, why, output)
  }
}

struct AbortVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "abort", abstract: "Undo what is in flight, leave what is promoted, and end.")
  @OptionGroup var rollout: RolloutOptions
  @OptionGroup var why: ReasonOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let rollouts = try Rollouts.change(rollout.state)
    let found = try await rollouts.find(rollout.id)
    let before = try await rollouts.replay(found.id).engine.state
    guard !before.isEnd || before == .aborted else {
      throw CommandError.invalid(
        "rollout \(found.id) is over: \(before.rawValue); rollback undoes a rollout that is over")
    }
    let state = try await OrderSender(rollouts: rollouts, output: output.output).send(
      Order(.abort, reason: why.reason, by: Person.name), to: found.id, untilEnd: true)
    try Reply.report(found.id, state, output)
    if state != .aborted { throw ExitCode(state.exitCode) }
  }
}

struct RollbackVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollback",
    abstract: "Restore every host of a rollout; also after it, as long as the old slots are retained.")
  @OptionGroup var rollout: RolloutOptions
  @OptionGroup var why: ReasonOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let rollouts = try Rollouts.change(rollout.state)
    let found = try await rollouts.find(rollout.id)
    try await checkWayBack(found.id, rollouts)
    let state = try await OrderSender(rollouts: rollouts, output: output.output).send(
      Order(.rollback, reason: why.reason, by: Person.name), to: found.id, untilEnd: true)
    try Reply.report(found.id, state, output)
    // Restored is what was asked for.
    if state != .rolledBack { throw ExitCode(state.exitCode) }
  }

  /// Refuses to undo what has ended where no host keeps anything to go back to.
  private func checkWayBack(_ id: String, _ rollouts: Rollouts) async throws {
    let engine = try await rollouts.replay(id).engine
    guard engine.state.isEnd, !engine.promotedFlips.isEmpty else { return }
    let lost = try await Workshop.use(through: engine.plan.agent.rpc) { workshop in
      await Retained.lost(
        engine, world: workshop.world(journal: NoJournal()),
        identity: workshop.identity(purpose: "rollout \(id)", takesOver: false))
    }
    guard lost.isEmpty else {
      throw CommandError.invalid(
        "rollout \(id) can't be rolled back: no host keeps the old release any more (\(lost.joined(separator: ", "))); "
          + "roll out the version that you want; nothing was changed")
    }
  }
}

struct SkipVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "skip", abstract: "Leave hosts out.")
  @Argument(help: "The rollout.") var id: String
  @Argument(help: "The hosts.") var hosts: [String]
  @OptionGroup var state: StateOptions
  @OptionGroup var why: ReasonOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await HostOrder(hosts: hosts, isRetry: false, reason: why.reason).send(to: id, state, output)
  }
}

struct RetryVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retry",
    abstract: "Try hosts again that failed, were restored, skipped or could not be reached.")
  @Argument(help: "The rollout.") var id: String
  @Argument(help: "The hosts.") var hosts: [String]
  @OptionGroup var state: StateOptions
  @OptionGroup var why: ReasonOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await HostOrder(hosts: hosts, isRetry: true, reason: why.reason).send(to: id, state, output)
  }
}

/// `resume` and `approve`: to the running controller, or here.
enum GoOn {
  static func run(
    _ verb: Order.Verb, _ options: RolloutOptions, _ why: ReasonOptions, _ output: OutputOptions
  ) async throws {
    let rollouts = try Rollouts.change(options.state)
    let found = try await rollouts.find(options.id)
    let engine = try await rollouts.replay(found.id).engine
    if engine.state.isEnd {
      try Reply.report(found.id, engine.state, output)
      throw ExitCode(engine.state.exitCode)
    }
    if verb == .approve, engine.state != .awaitingApproval {
      throw CommandError.invalid("rollout \(found.id) waits for no approval: it is \(engine.state.rawValue)")
    }
    if verb == .resume, engine.state == .running || engine.state == .rollingBack,
      let holder = try rollouts.holder(found.id)
    {
      throw CommandError.invalid(
        "rollout \(found.id) is \(engine.state.rawValue) already; its controller is \(holder)")
    }
    let isDriven = try rollouts.holder(found.id) != nil
    let state = try await OrderSender(rollouts: rollouts, output: output.output).send(
      Order(verb, reason: why.reason, by: Person.name), to: found.id, untilEnd: false)
    // The controller that is at work goes on with it.
    if isDriven { try Reply.report(found.id, state, output) }
    if !isDriven || state != .running { throw ExitCode(state.exitCode) }
  }
}

/// `skip` and `retry`.
struct HostOrder {
  let hosts: [String]
  let isRetry: Bool
  let reason: String

  func send(to id: String, _ state: StateOptions, _ output: OutputOptions) async throws {
    let rollouts = try Rollouts.change(state)
    let found = try await rollouts.find(id)
    let engine = try await rollouts.replay(found.id).engine
    let final = try await OrderSender(rollouts: rollouts, output: output.output).send(
      try order(in: engine, found.id), to: found.id, untilEnd: false)
    try Reply.report(found.id, final, output)
    if final != .running { throw ExitCode(final.exitCode) }
  }

  private func order(in engine: RolloutEngine, _ id: String) throws -> Order {
    let places = try hosts.map { name in
      guard let place = engine.plan.hosts.firstIndex(where: { $0.name == name }) else {
        throw CommandError.invalid("\(escapedForTerminal(name)) is no host of rollout \(id)")
      }
      return place
    }
    let order = Order(isRetry ? .retry(places) : .skip(places), reason: reason, by: Person.name)
    if let obstacle = engine.obstacle(to: order.verb) {
      throw CommandError.invalid("rollout \(id) \(obstacle)")
    }
    for place in places {
      if let obstacle = engine.obstacle(to: order.verb, host: place) {
        throw CommandError.invalid("\(escapedForTerminal(engine.plan.hosts[place].name)) \(obstacle)")
      }
    }
    return order
  }
}

/// The answer to an order.
enum Reply {
  static func report(_ id: String, _ state: RolloutState, _ output: OutputOptions) throws {
    if output.isJSON {
      try Output.json(["id": id, "state": state.rawValue], pretty: false)
    } else {
      Output.line("rollout \(id) is \(state.rawValue)")
    }
  }
}
