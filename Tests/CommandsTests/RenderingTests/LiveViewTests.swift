import RolloutModel
import Testing

@testable import Commands

@Suite("The live view")
struct LiveViewTests {
  @Test("Waves, hosts, reasons, budget and estimate")
  func tree() {
    #expect(
      live(midway).joined(separator: "\n") == """
        demo 2.0.0  running  1m5s  policy canary  r1
        ██████░░░░░░░░░░░░░░  1 promoted · 2 in flight · 1 restored · 2 pending
        1 failure, 1 borne · about 1m6s left

        ✔ canary   ██████████  1 promoted
          ✔ h1     promoted    2.0.0
        ● early    ░░░░░░░░░░  2 in flight · 1 restored
          ✘ h2     restored    gate failed: status 503, expected 200
          ● h3     gating      4s     2 of 3 healthy answers, 41 s left
          ● h4     soaking     15s    █████░░░░░ of 30s
        ○ rest     ░░░░░░░░░░  2 pending  2 at once, soak 30s, after approval
          ○ h5     pending
          ○ h6     pending
        """)
  }

  @Test("A wave says which hook it waits for, how long already, and what that does now")
  func hook() {
    var waiting = midway
    waiting.waves[2].hook = HookSnapshot(
      hook: .beforeWave, playbook: "checks\u{1b}.yml", hosts: 2, since: noon - 12_000,
      note: "runs Check the disk")
    #expect(
      live(waiting, columns: 120).contains(
        "○ rest     ░░░░░░░░░░  2 pending  waits: before_wave checks\\u{1b}.yml, 12s  runs Check the disk"))
    #expect(
      live(waiting, rows: 8).contains { $0.contains("waits: before_wave") }, "it is shown before hosts are")
  }

  @Test("Without Unicode the signs are ASCII")
  func ascii() {
    let lines = live(midway, symbols: .ascii)
    #expect(lines.allSatisfy { $0.utf8.allSatisfy { $0 < 0x80 } })
    #expect(lines.contains("+ canary   ##########  1 promoted"))
    #expect(live(midway, columns: 30, symbols: .ascii).first == "demo 2.0.0  running  1m5s  ...")
  }

  @Test("No line is wider than the terminal, and one row stays free, however small it is")
  func fits() {
    let wide = rollout(
      midway.waves,
      midway.hosts + [host("健康健康健康", "early", .gating, reason: "👩‍👩‍👧 " + String(repeating: "健", count: 99))])
    for columns in [1, 2, 7, 20, 41, 80, 300] {
      for rows in [1, 2, 3, 8, 12, 100] {
        let lines = live(wide, columns: columns, rows: rows)
        #expect(lines.allSatisfy { DisplayWidth.of($0) <= columns }, "\(columns) columns")
        #expect(lines.count <= max(1, rows - 1), "\(rows) rows")
      }
    }
  }

  @Test("Of a great fleet hosts in trouble and on their way are shown, the others counted")
  func greatFleet() {
    let hosts =
      (1...30).map { host("p\($0)", "rest", .promoted) } + (1...4).map { host("m\($0)", "rest", .gating) }
      + [host("bad", "rest", .restored, reason: "status 503")]
      + (1...940).map { host("w\($0)", "rest", .pending) }
    let lines = live(rollout([wave("rest", .running)], hosts), rows: 14)
    #expect(
      lines.dropFirst(4) == [
        "● rest   ░░░░░░░░░░  30 promoted · 4 in flight · 1 restored · 940 pending",
        "  ● m1   gating      0s", "  ● m2   gating      0s", "  ● m3   gating      0s",
        "  ● m4   gating      0s", "  ✘ bad  restored    status 503", "  … 30 promoted · 940 pending",
      ])
  }

  @Test("Trouble without end does not crowd out what is under way, nor the other way round")
  func shares() {
    let trouble = (1...50).map { host("bad\($0)", "rest", .failed) }
    let moving = (1...50).map { host("m\($0)", "rest", .staging) }
    let lines = live(rollout([wave("rest", .running)], moving + trouble), rows: 16)
    #expect(lines.count == 15)
    #expect(lines.count { $0.contains("staging") } == 5)
    #expect(lines.count { $0.contains("✘ bad") } == 4)
    #expect(lines.last == "  … 45 in flight · 46 failed")
  }

  @Test("Waves that don't find room are counted, those under way are kept")
  func manyWaves() {
    let waves = (1...40).map { wave("w\($0)", $0 < 20 ? .done : $0 == 20 ? .running : .pending) }
    let hosts = (1...40).map {
      host("h\($0)", "w\($0)", $0 < 20 ? .promoted : $0 == 20 ? .flipping : .pending)
    }
    let lines = live(rollout(waves, hosts), rows: 12)
    #expect(
      lines.dropFirst(4) == [
        "● w20   ░░░░░░░░░░  1 in flight", "  ● h20 flipping    0s", "… 39 more waves",
      ])
  }

  @Test("What hosts say can't draw on the terminal")
  func escaped() {
    let hostile = host("h\u{1b}[2J", "early", .gating, reason: "a\nb\r\u{1b}]0;title\u{7}\u{202e}c")
    let lines = live(rollout([wave("early", .running)], [hostile]))
    #expect(lines.last == #"  ● h\u{1b}[2J gating      0s     a\u{a}b\u{d}\u{1b}]0;title\u{7}\u{202e}c"#)
  }

  @Test("A reason, a pause and an end stand at the top")
  func states() {
    let paused = live(rollout([], [], state: .paused, reason: "paused by ops: lunch"))
    #expect(paused.prefix(2) == ["demo 2.0.0  paused  1m5s  policy canary  r1", "paused by ops: lunch"])
    #expect(
      live(rollout([], [], state: .rolledBack)).first == "demo 2.0.0  rolled back  1m5s  policy canary  r1")
  }

  @Test(
    "There is no estimate before a host is through, none while paused, and hostile numbers make none that traps"
  )
  func estimates() {
    let waves = [wave("rest", .running)]
    #expect(Estimate.remaining(rollout(waves, [host("a", "rest", .gating)]), now: noon) == nil)
    var paused = midway
    paused.state = .paused
    #expect(Estimate.remaining(paused, now: noon) == nil)
    let odd = host("b", "rest", .promoted, phases: ["gating": .nan, "staging": 1e300, "starting": -1e300])
    #expect(Estimate.remaining(rollout(waves, [odd, host("a", "rest", .pending)]), now: .max) != nil)
  }
}
