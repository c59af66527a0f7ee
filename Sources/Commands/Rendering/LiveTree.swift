import RolloutModel

/// The waves and hosts of a live view.
struct LiveTree {
  private let snapshot: RolloutSnapshot
  private let now: Int64
  private let symbols: Symbols
  /// Places in the snapshot of each wave's hosts.
  private let members: [[Int]]
  private let nameWidth: Int

  init(snapshot: RolloutSnapshot, now: Int64, symbols: Symbols) {
    self.snapshot = snapshot
    self.now = now
    self.symbols = symbols
    var places: [String: [Int]] = [:]
    for (place, host) in snapshot.hosts.enumerated() { places[host.wave, default: []].append(place) }
    members = snapshot.waves.map { places[$0.name] ?? [] }
    let names = snapshot.waves.map(\.name) + snapshot.hosts.filter(Self.isTold).map(\.host)
    nameWidth = min(24, names.map { StyledText($0).width }.max() ?? 0)
  }

  /// Lines in at most so many rows: each wave's, and under it those of its hosts that find room.
  func lines(room: Int) -> [StyledText] {
    let waves = shownWaves(room: room)
    let isRest = waves.count < snapshot.waves.count
    // Every wave that is under way may need a line for the hosts that are not shown.
    let spare = room - waves.count - (isRest ? 1 : 0) - waves.count(where: { isUnderWay($0) })
    let shown = shownHosts(of: waves, room: spare)
    var lines: [StyledText] = []
    for wave in waves {
      lines.append(waveLine(wave))
      lines += members[wave].filter(shown.contains).map {
        hostLine(snapshot.hosts[$0], in: snapshot.waves[wave])
      }
      if isUnderWay(wave), let rest = restLine(members[wave].filter { !shown.contains($0) }) {
        lines.append(rest)
      }
    }
    if isRest {
      let count = snapshot.waves.count - waves.count
      lines.append(StyledText("\(symbols.more) \(Words.count(count, "more wave"))", .faint))
    }
    return lines
  }

  // MARK: What is shown

  /// A wave's line may be dropped for want of room, but not that of one that is under way.
  private func shownWaves(room: Int) -> [Int] {
    let all = Array(snapshot.waves.indices)
    guard all.count > max(1, room / 2) else { return all }
    let underWay = all.filter(isUnderWay)
    return underWay.isEmpty ? Array(all.prefix(1)) : underWay
  }

  private func isUnderWay(_ wave: Int) -> Bool {
    switch snapshot.waves[wave].state {
    case .running, .failed: true
    case .pending where snapshot.waves[wave].hook != nil: true
    case .pending, .done: members[wave].contains { Self.isTold(snapshot.hosts[$0]) }
    }
  }

  /// Hosts in trouble, in at most half of the room as long as others want it, and hosts on their way; then the
  /// others, all of a kind or none.
  private func shownHosts(of waves: [Int], room: Int) -> Set<Int> {
    let candidates = waves.flatMap { members[$0] }
    func places(_ wanted: Interest) -> [Int] {
      candidates.filter { Interest(snapshot.hosts[$0].state) == wanted }
    }
    let (trouble, moving) = (places(.trouble), places(.moving))
    let room = max(0, room)
    var shown = Set(trouble.prefix(max(room / 2, room - moving.count)))
    shown.formUnion(moving.prefix(room - shown.count))
    for kind in [Interest.promoted, .waiting] {
      let group = places(kind)
      if group.count <= room - shown.count { shown.formUnion(group) }
    }
    return shown
  }

  /// Why a host is looked at.
  private enum Interest {
    case trouble, moving, promoted, waiting

    init(_ phase: HostPhase) {
      switch phase {
      case .quarantined, .restoring, .failed, .restored, .unreachable: self = .trouble
      case .preflight, .staging, .starting, .gating, .flipping, .soaking: self = .moving
      case .promoted: self = .promoted
      case .pending, .skipped: self = .waiting
      }
    }
  }

  private static func isTold(_ host: HostSnapshot) -> Bool {
    switch Interest(host.state) {
    case .trouble, .moving: true
    case .promoted, .waiting: false
    }
  }

  // MARK: Lines

  private func waveLine(_ wave: Int) -> StyledText {
    let definition = snapshot.waves[wave]
    var counts = HostCounts()
    for place in members[wave] { counts.add(1, to: snapshot.hosts[place].state) }
    let total = members[wave].count
    var line = StyledText(definition.state.sign(symbols), definition.state.style)
    line.add(" ")
    line.add(definition.name, .strong)
    line.pad(to: nameWidth + 5)
    line.add(
      symbols.bar(Int64(counts.promoted), of: Int64(total), columns: 10), definition.state.style)
    line.add("  \(Words.counts(counts, dot: symbols.dot))")
    if let hook = definition.hook {
      line.add("  waits: \(Words.name(hook)), \(Words.span(milliseconds: max(0, now - hook.since)))", .active)
      if let note = hook.note { line.add("  \(note)", .faint) }
    } else if definition.state == .pending {
      let approval = definition.approve ? ", after approval" : ""
      line.add("  \(definition.batch) at once, soak \(definition.soak)\(approval)", .faint)
    }
    return line
  }

  private func hostLine(_ host: HostSnapshot, in wave: WaveSnapshot) -> StyledText {
    var line = StyledText("  ")
    line.add(host.state.sign(symbols), host.state.style)
    line.add(" ")
    line.add(StyledText(host.host).cut(to: nameWidth, mark: symbols.more))
    line.pad(to: nameWidth + 5)
    line.add(host.state.rawValue, host.state.style)
    line.pad(to: nameWidth + 17)
    if host.state.isInFlight {
      let elapsed = max(0, now - (host.since ?? now))
      line.add(Words.span(milliseconds: elapsed))
      line.pad(to: nameWidth + 24)
      if host.state == .soaking, wave.soak > .zero {
        line.add(symbols.bar(elapsed, of: wave.soak.milliseconds, columns: 10), .active)
        line.add(" of \(wave.soak)", .faint)
        line.pad(to: line.width + 2)
      }
    } else if host.state == .promoted, let version = host.liveVersion {
      line.add(version, .faint)
    }
    line.add(host.reason, host.state.isInFlight ? .plain : .faint)
    return line
  }

  /// What is not shown of a wave.
  private func restLine(_ hidden: [Int]) -> StyledText? {
    guard !hidden.isEmpty else { return nil }
    var counts = HostCounts()
    for place in hidden { counts.add(1, to: snapshot.hosts[place].state) }
    return StyledText("  \(symbols.more) \(Words.counts(counts, dot: symbols.dot))", .faint)
  }
}
