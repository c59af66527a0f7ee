import RolloutModel

/// How much longer a rollout may take, judged by the hosts that are through.
enum Estimate {
  /// Milliseconds until the last wave is done, people's approvals aside; nil while no host is through, or where
  /// the rollout isn't running.
  static func remaining(_ snapshot: RolloutSnapshot, now: Int64) -> Int64? {
    guard snapshot.state == .running, let work = typicalWork(snapshot.hosts) else { return nil }
    let waves = Dictionary(grouping: snapshot.hosts, by: \.wave)
    var total: Int64 = 0
    for wave in snapshot.waves where wave.state != .done {
      let left = (waves[wave.name] ?? []).filter { !$0.state.isEnd }
      guard !left.isEmpty else { continue }
      let each = work + wave.soak.milliseconds
      // Rounds of a full batch; those in flight are some way into theirs.
      let rounds = Int64((left.count + max(1, wave.batch) - 1) / max(1, wave.batch))
      let done = left.filter(\.state.isInFlight).map { elapsed($0, now: now) }.min() ?? 0
      total += rounds * each - min(done, each)
    }
    return total
  }

  /// The median of what promoted hosts took, the soak aside.
  private static func typicalWork(_ hosts: [HostSnapshot]) -> Int64? {
    let times = hosts.filter { $0.state == .promoted }
      .map { host in
        host.phases.filter { $0.key != HostPhase.soaking.rawValue }.values.filter(\.isFinite).reduce(0, +)
      }
      .sorted()
    guard !times.isEmpty else { return nil }
    return milliseconds(times[times.count / 2])
  }

  private static func elapsed(_ host: HostSnapshot, now: Int64) -> Int64 {
    let before = host.phases.filter { $0.key != host.state.rawValue }.values.filter(\.isFinite).reduce(0, +)
    return milliseconds(before) + max(0, now - (host.since ?? now))
  }

  private static func milliseconds(_ seconds: Double) -> Int64 {
    Int64(min(max(seconds, 0), 1e9) * 1000)
  }
}
