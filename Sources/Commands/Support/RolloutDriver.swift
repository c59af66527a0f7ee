import Controller
import EventLoop
import FoundationEssentials
import Glibc
import HostSteps
import JournalStore
import Ports
import RolloutEngine
import RolloutModel
import RunLogs

/// Runs a rollout's controller in this process until it rests, and shows what happens.
struct RolloutDriver {
  let rollouts: Rollouts
  let output: OutputFormat
  /// Whether standard output tells of it.
  var isShown = true

  /// How a controller's work has ended.
  private struct Ended {
    var state: RolloutState
    var snapshot: RolloutSnapshot
    /// Why it ended before the rollout came to rest, or before that was noted.
    var fault: CommandError?
  }

  /// Takes the rollout's lock, brings the engine to where the journal ends, lets `orders` happen and works until the
  /// rollout rests. Answers with its last state.
  func drive(_ id: String, orders: [Order]) async throws -> RolloutState {
    let view = isShown ? RolloutView.make(of: id, output) : RolloutView.silent(of: id)
    let ended: Ended
    do { ended = try await drive(id, orders: orders, view) } catch {
      await view.settle()
      throw error
    }
    // A reader of this may take its time: the rollout is free for others by now.
    await view.end(with: ended.snapshot)
    if let fault = ended.fault { throw fault }
    if isShown, let hint = Self.hint(ended.snapshot) { Output.error(hint) }
    return ended.state
  }

  private func drive(_ id: String, orders: [Order], _ view: RolloutView) async throws -> Ended {
    let time = SystemTimekeeper()
    // Held until the end: a second controller is refused, naming us.
    let lock = try RolloutLock(
      rollout: id, directory: rollouts.directory, holder: LockHolder.current(wall: time.wall))
    defer { withExtendedLifetime(lock) {} }
    let (engine, hasStarted) = try await rollouts.replay(id)
    var ended = try await Workshop.use(through: engine.plan.agent.rpc) { workshop in
      let writer = runLog(id, view)
      let result: Result<Ended, any Error>
      do {
        result = .success(
          try await drive(
            id, engine: engine, hasStarted: hasStarted, orders: orders, in: workshop, view,
            log: writer ?? NoLog()))
      } catch { result = .failure(error) }
      // What it still complains of is told before the view's end.
      await writer?.close()
      return try result.get()
    }
    guard ended.fault == nil else { return ended }
    do throws(JournalError) { try await rollouts.store.note(ended.state, of: id) } catch {
      // How it ended is told all the same.
      ended.fault = .tool("the rollout is \(ended.state.rawValue), which can't be noted: \(error)")
    }
    return ended
  }

  private func drive(
    _ id: String, engine: RolloutEngine, hasStarted: Bool, orders: [Order], in workshop: Workshop,
    _ view: RolloutView, log: any RunLog
  ) async throws -> Ended {
    let identity = workshop.identity(purpose: "rollout \(id)", takesOver: engine.plan.takeOver != nil)
    let words = LogLine(engine.plan)
    let controller = RolloutController(
      engine: engine, world: workshop.world(journal: rollouts.store, log: log), identity: identity,
      news: { news in
        view.take(news, words)
        Self.note(news, words, in: log)
      })
    let server = try await ControlServer(loop: workshop.loop, path: rollouts.controlSocket(id)) { order in
      guard await controller.order(order) else { return nil }
      let snapshot = await controller.snapshot()
      return ControlReply(state: snapshot.state, reason: snapshot.reason)
    }
    let signals = Signals { count in
      guard count == 1 else {
        // The journal is durable at every moment: leaving at once loses nothing.
        view.leave(saying: "left at once; `switchyard rollout resume \(id)` goes on")
        exit(RolloutState.paused.exitCode)
      }
      view.tell("pausing: no further host starts; what is under way is finished (again: leave at once)")
      Task { await controller.order(Order(.pause, reason: "interrupted at the terminal", by: Person.name)) }
    }
    view.follow { await controller.snapshot() }
    let first: RolloutEvent = hasStarted ? .resumed(controller: identity.id) : .started
    var fault: CommandError?
    do throws(JournalError) {
      _ = try await controller.run([first] + orders.map { .order($0) })
    } catch { fault = .tool("the rollout stopped: \(error)") }
    signals.end()
    await server.close()
    let snapshot = await controller.snapshot()
    return Ended(state: snapshot.state, snapshot: snapshot, fault: fault)
  }

  /// The run's log. A rollout is worth more than its log: one that can't be written is told, and the rollout goes on.
  private func runLog(_ id: String, _ view: RolloutView) -> RunLogWriter? {
    do throws(RunLogError) {
      return try RunLogWriter(id, in: RunLogFolder(state: rollouts.directory)) { view.tell($0) }
    } catch {
      view.tell(error.description)
      return nil
    }
  }

  private static func note(_ news: ControllerNews, _ words: LogLine, in log: any RunLog) {
    let (host, text): (String?, String)
    switch news {
    // Its end is among what happened, and what playbooks do is in the log as their own.
    case .hook(_, _, .some), .playbook: return
    case .happened(let stamped, _): (host, text) = words.words(of: stamped.event)
    case .wave(let name, let state): (host, text) = (nil, "wave \(name) is \(state.rawValue)")
    case .hook(let wave, let hook, nil): (host, text) = (nil, Words.waiting(for: hook, wave: wave))
    case .state(let state, let reason):
      (host, text) = (nil, "the rollout is \(state.rawValue)\(reason.isEmpty ? "" : ": \(reason)")")
    }
    log.write(RunLogLine(wall: SystemTimekeeper().wall, host: host, source: .rollout, text: text))
  }

  /// How a person goes on from here.
  private static func hint(_ rollout: RolloutSnapshot) -> String? {
    let id = rollout.id
    return switch rollout.state {
    case .paused: "`switchyard rollout resume \(id)` goes on; abort or rollback ends it"
    case .awaitingApproval: "`switchyard rollout approve \(id)` goes on; abort or rollback ends it"
    case .halted where rollout.counts.promoted > 0:
      "`switchyard rollout rollback \(id)` restores what is promoted; retry tries repaired hosts again"
    case .halted:
      "`switchyard rollout retry \(id) HOST…` tries repaired hosts again; abort or rollback ends it"
    case .promotedWithExceptions:
      "`switchyard rollout retry \(id) HOST…` tries the others again once they are repaired"
    case .rollbackIncomplete:
      "repair the hosts that are not restored, then `switchyard rollout rollback \(id)` tries again"
    case .running, .promoted, .rollingBack, .rolledBack, .aborted: nil
    }
  }
}
