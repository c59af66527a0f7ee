import Controller
import Glibc
import RolloutModel
import Synchronization

/// Shows a running rollout: a live tree on a terminal, lines in a pipe, JSON for machines.
final class RolloutView: Sendable {
  private struct State {
    var lines = ChangeLines()
    var phases: [String: HostPhase] = [:]
    var told: RolloutState?
    var screen: LiveScreen
    var follower: Task<Void, Never>?
  }

  /// The rollout's ID, which each event has: a program that began it knows it from the first one.
  private let id: String
  private let format: OutputFormat
  private let style: OutputStyle
  private let state: Mutex<State>
  private let isSilent: Bool
  private let time = SystemTimekeeper()
  /// The controller tells in the middle of its work, which must not wait for a reader.
  private let out: PatientOutput
  /// On a terminal the same, for both have one order there; else complaints don't wait behind a reader of the rest.
  private let errors: PatientOutput

  private init(of id: String, format: OutputFormat, style: OutputStyle, isSilent: Bool = false) {
    self.id = id
    self.format = format
    self.style = style
    self.isSilent = isSilent
    state = Mutex(State(screen: LiveScreen(style)))
    out = PatientOutput()
    errors = format == .text && style.isLive ? out : PatientOutput()
  }

  static func make(of id: String, _ format: OutputFormat) -> RolloutView {
    RolloutView(of: id, format: format, style: OutputStyle.of(descriptor: STDOUT_FILENO))
  }

  /// Tells nothing on standard output.
  static func silent(of id: String) -> RolloutView {
    RolloutView(of: id, format: .json, style: OutputStyle.of(descriptor: STDOUT_FILENO), isSilent: true)
  }

  private var isLive: Bool { format == .text && style.isLive }

  /// Takes in what the controller tells; `words` names the plan's hosts and playbooks.
  func take(_ news: ControllerNews, _ words: LogLine) {
    switch news {
    case .happened(_, let host?):
      if format == .json {
        let isNew = state.withLock { $0.phases.updateValue(host.state, forKey: host.host) != host.state }
        if isNew { emit(ViewEvent(event: "host", host: host)) }
      } else if !isLive {
        print(state.withLock { $0.lines.lines(for: host, at: time.wall) })
      }
    case .happened: break
    case .playbook(let found):
      if format == .json {
        emit(ViewEvent(event: "playbook", playbook: words.line(of: found)), mayBeLeftOut: true)
      } else if !isLive {
        print(["\(Words.clock(time.wall)) \(words.text(of: found))"], mayBeLeftOut: true)
      }
    case .wave(let name, let wave):
      if format == .json {
        emit(ViewEvent(event: "wave", wave: WaveNews(name: name, state: wave)))
      } else if !isLive, let line = state.withLock({ $0.lines.line(for: wave, of: name, at: time.wall) }) {
        print([line])
      }
    case .hook(let wave, let hook, let outcome):
      if format == .json {
        emit(ViewEvent(event: "hook", hook: HookNews(wave: wave, hook: hook, outcome: outcome)))
      } else if !isLive {
        print(state.withLock { $0.lines.lines(for: hook, outcome, of: wave, at: time.wall) })
      }
    case .state(let rollout, let reason):
      if format == .json {
        emit(ViewEvent(event: "rollout", state: rollout, reason: reason))
      } else if !isLive,
        let line = state.withLock({ $0.lines.line(for: rollout, reason: reason, at: time.wall) })
      {
        print([line])
      }
    }
  }

  /// Takes in a whole picture, for those who follow a rollout that another process drives.
  func take(_ snapshot: RolloutSnapshot) {
    if format == .json {
      for host in snapshot.hosts {
        let isNew = state.withLock {
          $0.phases.updateValue(host.state, forKey: host.host) ?? .pending != host.state
        }
        if isNew { emit(ViewEvent(event: "host", host: host)) }
      }
      if state.withLock({ $0.told != snapshot.state }) {
        state.withLock { $0.told = snapshot.state }
        emit(ViewEvent(event: "rollout", state: snapshot.state, reason: snapshot.reason))
      }
    } else if !isLive {
      print(state.withLock { $0.lines.lines(for: snapshot, at: time.wall) })
    }
  }

  /// Begins to redraw, where there is a terminal; a picture that can't be had is left out.
  func follow(_ snapshot: @escaping @Sendable () async -> RolloutSnapshot?) {
    guard isLive else { return }
    let follower = Task { [weak self] in
      while !Task.isCancelled {
        // A terminal that is stopped gets no pictures that it has not asked for.
        if self?.out.isIdle == true, let picture = await snapshot() { self?.draw(picture) }
        do { try await SystemTimekeeper().sleep(Span(milliseconds: 150)) } catch { return }
      }
    }
    state.withLock { $0.follower = follower }
  }

  /// A line for the person at the terminal, above the tree.
  func tell(_ text: String) {
    let line = Output.escaped(text) + "\n"
    guard isLive else {
      errors.write(line, to: STDERR_FILENO)
      return
    }
    let size = TerminalSize.of(descriptor: STDOUT_FILENO)
    state.withLock { state in
      out.write(state.screen.clear(size: size))
      out.write(line, to: STDERR_FILENO)
    }
  }

  /// Leaves the terminal as it was, with a last word, for a signal's handler that is about to end the process: it sleeps on that handler's own
  /// thread until the word is written, half a second at most.
  func leave(saying text: String) {
    if isLive { out.write(LiveScreen.restoring) }
    errors.write(Output.escaped(text) + "\n", to: STDERR_FILENO)
    for _ in 0..<50 where !(isLive ? out : errors).isIdle { usleep(10_000) }
  }

  /// Draws no more, leaves the terminal as it was, and waits until all that was said is written.
  func settle() async {
    await stopFollowing()
    if isLive { out.write(LiveScreen.restoring) }
    await drained()
  }

  private func drained() async {
    await out.drained()
    await errors.drained()
  }

  private func stopFollowing() async {
    let follower = state.withLock { $0.follower }
    follower?.cancel()
    await follower?.value
  }

  /// The last picture.
  func end(with snapshot: RolloutSnapshot) async {
    await stopFollowing()
    if format == .json {
      emit(ViewEvent(event: "end", state: snapshot.state, reason: snapshot.reason, status: snapshot))
    } else if isLive {
      draw(snapshot)
      state.withLock { out.write($0.screen.finish()) }
    } else {
      take(snapshot)
    }
    await drained()
    let leftOut = out.leftOut
    if leftOut > 0 {
      Output.error(
        "\(Words.count(leftOut, "line")) of playbooks were left out here, as nobody read them in time; `switchyard rollout logs \(snapshot.id)` has them"
      )
    }
  }

  private func draw(_ snapshot: RolloutSnapshot) {
    let size = TerminalSize.of(descriptor: STDOUT_FILENO)
    let lines = LiveView(snapshot: snapshot, now: time.wall, size: size, symbols: Symbols(style)).lines()
    state.withLock { out.write($0.screen.draw(lines, size: size)) }
  }

  private func print(_ lines: [String], mayBeLeftOut: Bool = false) {
    for line in lines { out.write(Output.escaped(line) + "\n", mayBeLeftOut: mayBeLeftOut) }
  }

  private func emit(_ event: ViewEvent, mayBeLeftOut: Bool = false) {
    guard !isSilent else { return }
    var event = event
    event.id = id
    do {
      out.write(try Output.jsonText(event, pretty: false), mayBeLeftOut: mayBeLeftOut)
    } catch {
      errors.write("an event could not be encoded: \(error)\n", to: STDERR_FILENO)
    }
  }
}

/// One line of `--output json`.
struct ViewEvent: Encodable {
  var id = ""
  var event: String
  var host: HostSnapshot?
  var wave: WaveNews?
  var hook: HookNews?
  var playbook: PlaybookNewsLine?
  var state: RolloutState?
  var reason: String?
  var status: RolloutSnapshot?
}

/// A wave that has begun or ended.
struct WaveNews: Encodable {
  var name: String
  var state: WaveSnapshot.State
}

/// A wave's hook that has begun or ended.
struct HookNews: Encodable {
  var wave: String
  var hook: WaveHook
  var playbook: String
  var hosts: Int
  /// `running`, `passed`, `failed` or `cancelled`.
  var state: String
  /// Why it failed.
  var reason: String?

  init(wave: String, hook: HookSnapshot, outcome: HookOutcome?) {
    self.wave = wave
    self.hook = hook.hook
    playbook = hook.playbook
    hosts = hook.hosts
    state = Words.state(outcome)
    if case .failed(let why, _) = outcome { reason = why }
  }
}

/// What a playbook of the rollout does.
struct PlaybookNewsLine: Encodable {
  /// `prepare`, `before_wave` or `after_wave`.
  var occasion: String
  /// The wave's name, where it is run around one.
  var wave: String?
  var playbook: String?
  var news: PlaybookEventLine
}
