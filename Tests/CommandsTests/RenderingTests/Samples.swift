import RolloutModel

@testable import Commands

/// A wall clock for all samples: 2026-11-23T23:00:00Z.
let noon: Int64 = 1_795_474_800_000

func host(
  _ name: String, _ wave: String, _ state: HostPhase, reason: String = "", since: Int64? = nil,
  phases: [String: Double] = [:], lastLines: [String] = []
) -> HostSnapshot {
  HostSnapshot(
    host: name, wave: wave, state: state, liveSlot: state == .promoted ? "green" : "blue",
    liveVersion: state == .promoted ? "2.0.0" : "1.0.0", retainedVersion: state == .promoted ? "1.0.0" : nil,
    reason: reason, lastLines: lastLines, phases: phases, since: since)
}

func wave(
  _ name: String, _ state: WaveSnapshot.State, batch: Int = 2, soak: Span = .seconds(30),
  approve: Bool = false
) -> WaveSnapshot {
  WaveSnapshot(name: name, state: state, hosts: [], batch: batch, soak: soak, approve: approve)
}

func rollout(
  _ waves: [WaveSnapshot], _ hosts: [HostSnapshot], state: RolloutState = .running, reason: String = "",
  failures: Int = 0
) -> RolloutSnapshot {
  var counts = HostCounts()
  for host in hosts { counts.add(1, to: host.state) }
  let waves = waves.map { wave in
    var wave = wave
    wave.hosts = hosts.filter { $0.wave == wave.name }.map(\.host)
    return wave
  }
  return RolloutSnapshot(
    id: "r1", agent: "demo", version: "2.0.0", policy: "canary", state: state, reason: reason, waves: waves,
    hosts: hosts, counts: counts, failures: failures, failuresBorne: 1, startedAt: noon - 65_000,
    endedAt: state.isEnd ? noon : nil)
}

/// A rollout in the middle: one host promoted, one restored, two on their way, two waiting.
let midway = rollout(
  [wave("canary", .done, batch: 1), wave("early", .running), wave("rest", .pending, approve: true)],
  [
    host("h1", "canary", .promoted, phases: ["staging": 2, "gating": 3, "soaking": 30]),
    host(
      "h2", "early", .restored, reason: "gate failed: status 503, expected 200", phases: ["gating": 120],
      lastLines: ["agent[7]: out of \u{1b}[31mmemory"]),
    host("h3", "early", .gating, reason: "2 of 3 healthy answers, 41 s left", since: noon - 4000),
    host("h4", "early", .soaking, since: noon - 15_000, phases: ["soaking": 15]),
    host("h5", "rest", .pending), host("h6", "rest", .pending),
  ], failures: 1)

func live(_ snapshot: RolloutSnapshot, columns: Int = 80, rows: Int = 40, symbols: Symbols = .unicode)
  -> [String]
{
  LiveView(
    snapshot: snapshot, now: noon, size: TerminalSize(columns: columns, rows: rows), symbols: symbols
  ).lines().map(\.plain)
}

func text(_ lines: [StyledText]) -> String { lines.map(\.plain).joined(separator: "\n") }
