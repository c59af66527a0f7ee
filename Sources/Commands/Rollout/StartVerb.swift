import ArgumentParser
import CLinux
import Controller
import FoundationEssentials
import Glibc
import JournalStore
import RolloutEngine
import RolloutModel

struct StartVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "start", abstract: "Run a rollout until it is promoted, undone, or waits for a person.")

  @OptionGroup var options: PlanOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "Don't ask whether to go on.")
  var yes = false

  @Flag(help: "Run it in the background; `rollout watch` follows it.")
  var detach = false

  @Option(help: ArgumentHelp("End this rollout first, undoing what it has in flight.", valueName: "ID"))
  var supersede: String?

  func run() async throws {
    let plan = try await PlanBuilder(options: options).plan(id: RunID.make)
    if !yes, Output.isTerminal, isatty(STDIN_FILENO) == 1, !output.isJSON {
      Output.styled { PlanText(plan: plan, findings: [], symbols: $0).lines() }
      Output.write("Start this rollout? [y/N] ", to: STDOUT_FILENO)
      guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
        throw CommandError.invalid("not started; nothing was changed")
      }
    }
    // A rollout whose controller could not even begin must not come to be.
    try await Workshop.check(through: plan.agent.rpc)
    let rollouts = try Rollouts.open(options.state)
    try Rollouts.checkRoom(for: plan.id, in: rollouts.directory)
    if let supersede { try await end(supersede, rollouts, successor: plan.id) }
    try await rollouts.store.create(plan, wall: SystemTimekeeper().wall)
    if detach {
      let log = try Background.start(plan.id, directory: rollouts.directory)
      try await Background.await(plan.id, rollouts, log: log)
      if output.isJSON {
        try Output.json(["id": plan.id, "log": log])
      } else {
        Output.line(
          "rollout \(plan.id) runs in the background; follow it with `switchyard rollout watch \(plan.id)`")
      }
      return
    }
    if !output.isJSON { Output.line("rollout \(plan.id)") }
    let final = try await RolloutDriver(rollouts: rollouts, output: output.output).drive(plan.id, orders: [])
    throw ExitCode(final.exitCode)
  }

  /// What the older rollout has in flight is undone before the new one starts; what it has promoted stays.
  private func end(_ id: String, _ rollouts: Rollouts, successor: String) async throws {
    let old = try await rollouts.find(id)
    var state = try await rollouts.replay(old.id).engine.state
    if !state.isEnd {
      // Standard output tells of the new rollout alone.
      state = try await OrderSender(rollouts: rollouts, output: output.output, isShown: false).send(
        Order(.abort, reason: "superseded by \(successor)", by: Person.name), to: old.id, untilEnd: true)
    }
    guard state.isEnd else {
      throw CommandError.tool("rollout \(old.id) could not be ended: it is \(state.rawValue)")
    }
    if !output.isJSON { Output.line("rollout \(old.id) is \(state.rawValue)") }
  }
}

/// A controller in a process of its own, without a terminal.
enum Background {
  /// Waits until it has the rollout's lock or has begun: who looks before would take it for dead.
  static func await(_ id: String, _ rollouts: Rollouts, log: String) async throws {
    let time = SystemTimekeeper()
    let patience = time.now + Span.seconds(20)
    while try rollouts.holder(id) == nil {
      if try await rollouts.replay(id).hasStarted { return }
      guard time.now < patience else {
        throw CommandError.tool(
          "the background controller of rollout \(id) does not begin; \(escapedForTerminal(log)) says why")
      }
      try await time.sleep(Span(milliseconds: 50))
    }
  }

  /// Starts it and answers with the path of its log.
  static func start(_ id: String, directory: String) throws -> String {
    let log = "\(directory)/rollouts/\(id).log"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
    // A pipe that the caller was left with, as a CI job's, must not stay open as long as the rollout.
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // POSIX_SPAWN_SETSID, which Glibc's module does not show: the terminal's Ctrl-C must not reach it.
    posix_spawnattr_setflags(&attributes, 0x80)
    let words = ["switchyard", "rollout", "resume", id, "--state", directory]
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
    arguments.append(nil)
    defer { for argument in arguments { free(argument) } }
    var pid = pid_t()
    let code = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments, environ)
    guard code == 0 else {
      throw CommandError.tool(
        "the background controller could not be started: \(String(cString: strerror(code)))")
    }
    return log
  }
}
