import JournalStore
import RolloutEngine
import RolloutModel

/// A rollout's journal as lines for people, or as records.
struct RolloutLog {
  let rollouts: Rollouts
  let id: String

  /// Hands over the records in order; with `follow` until the rollout rests.
  func forEach(follow: Bool = false, _ body: (JournalRecord) throws -> Void) async throws {
    var after: Int64 = 0
    while true {
      // Asked before the records are read, so that none that came before the end is missed.
      let isDriven = try rollouts.holder(id) != nil
      let records = try await rollouts.store.records(of: id, after: after, limit: 500)
      for record in records { try body(record) }
      if let last = records.last {
        after = last.sequence
      } else if follow, isDriven {
        try await SystemTimekeeper().sleep(Span(milliseconds: 200))
      } else {
        return
      }
    }
  }

  /// Prints lines for people, of one host or of all.
  func print(host: String?, follow: Bool = false) async throws {
    var plan: Plan?
    try await forEach(follow: follow) { record in
      if case .plan(let found) = record.entry { plan = found }
      if let plan, let line = LogLine(plan).text(of: record, host: host) { Output.line(line) }
    }
  }
}

extension JournalEntry {
  /// The host that the entry is about, by its place in the plan; nil where it is about the rollout.
  var host: Int? {
    switch self {
    case .intent(.perform(let host, _, _, _, _)), .intent(.cancel(let host)): host
    case .event(let stamped): if case .step(let host, _, _) = stamped.event { host } else { nil }
    case .playbook(let news): news.host
    case .plan, .intent(.runHook), .intent(.cancelHook), .intent(.rest): nil
    }
  }
}

/// One record for people.
struct LogLine {
  private let plan: Plan?

  /// A line that names the hosts of a plan; where the plan is lost, hosts go by their places.
  init(_ plan: Plan?) { self.plan = plan }

  /// Nil where the record says nothing to a person, or is about another host.
  func text(of record: JournalRecord, host: String?) -> String? {
    guard let head = head(of: record, host: host) else { return nil }
    guard case .event(let stamped) = record.entry, case .step(_, _, .failed(let failure)) = stamped.event
    else {
      return escapedForTerminal(head, limit: Self.longest)
    }
    return Self.text(head, failure.lastLines)
  }

  /// A line, and an agent's own lines below it, each on one line whatever it says.
  private static func text(_ head: String, _ lastLines: [String]) -> String {
    ([head] + lastLines.map { "    | \($0)" }).map { escapedForTerminal($0, limit: longest) }
      .joined(separator: "\n")
  }

  private static let longest = 4000

  private func head(of record: JournalRecord, host: String?) -> String? {
    guard let words = words(of: record.entry), host == nil || host == words.host else { return nil }
    return Words.clock(record.wall) + " " + (words.host.map { "\($0): " } ?? "") + words.text
  }

  /// What an entry says, and the host that it is about.
  private func words(of entry: JournalEntry) -> (host: String?, text: String)? {
    switch entry {
    case .plan(let plan):
      (
        nil,
        "planned: \(plan.agent.name) \(plan.release.version) to \(Words.count(plan.hosts.count, "host")) by \(plan.owner)"
      )
    case .intent(.perform(let place, _, let step, _, let delay)):
      (name(place), "\(step.word) begins" + (delay > .zero ? " in \(delay)" : ""))
    case .intent(.cancel(let place)): (name(place), "what is under way is ended early")
    case .intent(.runHook(let run, let hosts)):
      (nil, "\(name(run)) begins on \(Words.count(hosts.count, "host"))")
    case .intent(.cancelHook(let run)): (nil, "\(name(run)) is ended early")
    case .intent(.rest(let state)): (nil, "the rollout is \(state.rawValue)")
    case .event(let stamped): words(of: stamped.event)
    case .playbook(let news): (news.host.map(name), words(of: news))
    }
  }

  /// What a playbook does, for the terminal.
  func text(of news: PlaybookNews) -> String {
    escapedForTerminal((news.host.map { "\(name($0)) " } ?? "") + words(of: news), limit: Self.longest)
  }

  /// The same for machines.
  func line(of news: PlaybookNews) -> PlaybookNewsLine {
    var line = PlaybookNewsLine(occasion: "prepare", news: PlaybookEventLine(news.event))
    switch news.occasion {
    case .prepare: line.playbook = plan?.agent.prepare?.playbook
    case .hook(let run):
      line.occasion = run.hook.rawValue
      line.wave = name(waveOf: run)
      line.playbook = plan?.policy.hooks?[run.hook]?.playbook
    }
    return line
  }

  /// What a playbook does, without the name of the host in the plan.
  private func words(of news: PlaybookNews) -> String {
    let words =
      switch news.event {
      case .door(_, let choice): "goes \(PlaybookText.door(choice))"
      case .play(let name): "play \(name)"
      case .task, .result, .ended: news.event.words ?? "goes on"
      }
    let host = news.host == nil ? news.event.host.map { "\($0) " } ?? "" : ""
    return "\(name(news.occasion)): \(host)\(words)"
  }

  private func name(_ occasion: PlaybookNews.Occasion) -> String {
    switch occasion {
    case .prepare: "prepare" + (plan?.agent.prepare.map { " \($0.playbook)" } ?? "")
    case .hook(let run): name(run)
    }
  }

  /// What an event says, and the host that it is about.
  func words(of event: RolloutEvent) -> (host: String?, text: String) {
    switch event {
    case .started: (nil, "started")
    case .resumed(let controller): (nil, "taken up by controller \(controller)")
    case .order(let order):
      (nil, "\(order.by) \(words(of: order.verb))\(order.reason.isEmpty ? "" : ": \(order.reason)")")
    case .step(let place, _, .failed(let failure)):
      (name(place), "failed: \(failure.reason)\(failure.hint.isEmpty ? "" : "; \(failure.hint)")")
    case .step(let place, _, let outcome): (name(place), word(outcome))
    case .hook(let run, .passed): (nil, "\(name(run)) has passed")
    case .hook(let run, .cancelled): (nil, "\(name(run)) was ended early")
    case .hook(let run, .failed(let reason, let hint)):
      (nil, "\(name(run)) failed: \(reason)\(hint.isEmpty ? "" : "; \(hint)")")
    }
  }

  private func words(of verb: Order.Verb) -> String {
    switch verb {
    case .pause: "pauses"
    case .resume: "resumes"
    case .approve: "approves"
    case .abort: "aborts"
    case .rollback: "rolls back"
    case .skip(let hosts): "skips " + hosts.map(name).joined(separator: ", ")
    case .retry(let hosts): "retries " + hosts.map(name).joined(separator: ", ")
    }
  }

  private func name(_ run: HookRun) -> String {
    let playbook = plan?.policy.hooks?[run.hook].map { " \($0.playbook)" } ?? ""
    return "\(run.hook.rawValue)\(playbook) of wave \(name(waveOf: run))"
  }

  private func name(waveOf run: HookRun) -> String {
    let waves = plan?.waves ?? []
    return waves.indices.contains(run.wave) ? waves[run.wave].name : "\(run.wave + 1)"
  }

  private func name(_ place: Int) -> String {
    guard let plan, plan.hosts.indices.contains(place) else { return "the host at place \(place)" }
    return plan.hosts[place].name
  }

  /// One host as it stands, with its failed unit's last lines.
  static func summary(_ host: HostSnapshot) -> String {
    let live = host.liveVersion.map { ", \($0) is live on \(host.liveSlot ?? "an unknown side")" } ?? ""
    let head = "\(host.host): \(host.state.rawValue)\(live)\(host.reason.isEmpty ? "" : ": \(host.reason)")"
    return text(head, host.lastLines)
  }

  private func word(_ outcome: StepOutcome) -> String {
    switch outcome {
    case .cleared(let result):
      "preflight passed: \(result.fromVersion ?? result.from?.rawValue ?? "nothing") is live\(result.isStopped == true ? " but stopped" : ""), \(result.candidate.rawValue) is free\(result.way.map { ", over \($0)" } ?? "")"
    case .staged: "the release is in the host's store"
    case .started(_, let invocation): "the candidate's unit is active, invocation \(invocation)"
    case .gatePassed: "the gate has passed"
    case .flipped: "traffic has moved"
    case .proven: "the public port answers from outside with the new version"
    case .confirmed: "confirmed"
    case .soaked(let samples): "the soak is over, \(samples) healthy answers"
    case .promoted: "promoted"
    case .restored: "restored"
    case .retained: "the old slot is retained"
    case .standing(let standing): word(standing)
    case .cancelled: "ended early"
    case .failed(let failure): failure.reason
    }
  }

  private func word(_ standing: HostStanding) -> String {
    switch standing {
    case .untouched: "the old side owns traffic, and nothing of this rollout runs"
    case .candidateRuns: "the candidate runs, traffic has not moved"
    case .armed: "traffic has moved and is not confirmed"
    case .confirmed: "the flip is confirmed, the soak goes on"
    case .promoted: "promoted"
    case .ahead(let flip, _, let isOver):
      isOver
        ? "flip \(flip) of another controller was undone"
        : "another controller has made flip \(flip): it is gone on with"
    case .undone(unconfirmed: true, let reason): "the host has undone the unconfirmed flip: \(reason)"
    case .undoneByOrder(let reason): "another controller of this rollout had the flip undone: \(reason)"
    case .undone(unconfirmed: false, let reason): "the host has undone the flip: \(reason)"
    case .quarantined(let reason): "the host can't undo the flip: \(reason)"
    }
  }
}
