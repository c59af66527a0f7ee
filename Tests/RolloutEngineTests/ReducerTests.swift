import RolloutModel
import Testing

@testable import RolloutEngine

private let good = Sample(outcome: .healthy, took: .zero)
private let sick = Sample(outcome: .unhealthy("status 500"), took: .zero)
private let other = Sample(outcome: .wrongVersion("2.0.0 expected, 1.0.0 came"), took: .zero)
private let dead = Sample(outcome: .noAnswer("refused"), took: .zero)
private let unasked = Sample(outcome: .notAsked("the tunnel is down"), took: .zero)
private let late = Sample(outcome: .healthy, took: .seconds(3))
private let inTime = Sample(outcome: .healthy, took: .seconds(2))

private func gate(_ successes: Int = 3, deadline: Span = .seconds(60)) -> Gate {
  Gate(successes: successes, interval: .seconds(1), timeout: .seconds(2), deadline: deadline)
}

private func at(_ seconds: Int64) -> Moment { Moment(milliseconds: 1000 * seconds) }

extension Verdict {
  fileprivate var isPassed: Bool { self == .passed }
  fileprivate var failure: String? { if case .failed(let why) = self { why } else { nil } }
}

@Suite struct GateReducerTests {
  /// The verdicts of one round a second.
  private func verdicts(_ gate: Gate, _ rounds: [[Sample]]) -> [Verdict] {
    var reducer = GateReducer(gate, began: at(0))
    return rounds.enumerated().map { reducer.take($1, at: at(Int64($0))) }
  }

  @Test("It passes with the last of as many healthy rounds in a row as are asked for")
  func passes() {
    #expect(verdicts(gate(), [[good], [good], [good]]).map(\.isPassed) == [false, false, true])
    #expect(verdicts(gate(1), [[good]]).map(\.isPassed) == [true])
    #expect(verdicts(gate(), [[inTime], [inTime], [inTime]]).last == .passed)
  }

  @Test(
    "What is not a healthy answer begins the streak anew",
    arguments: [
      [sick], [other], [dead], [unasked], [late], [], [good, sick], [late, good], [good, unasked],
    ])
  func streak(bad: [Sample]) {
    #expect(
      verdicts(gate(), [[good], [good], bad, [good], [good], [good]]).map(\.isPassed)
        == [false, false, false, false, false, true])
  }

  @Test(
    "Rounds that are never healthy never pass, and fail at the deadline with the last reason",
    arguments: [
      ([sick], "status 500"), ([dead], "refused"), ([unasked], "the tunnel is down"),
      ([late], "the answer took 3s, more than 2s"), ([], "no probe was asked"),
    ])
  func never(round: [Sample], reason: String) {
    let verdicts = verdicts(gate(3, deadline: .seconds(10)), Array(repeating: round, count: 11))
    #expect(verdicts.dropLast().allSatisfy { $0.failure == nil && !$0.isPassed })
    #expect(verdicts.last?.failure == "0 of 3 healthy answers in a row within 10s; last: \(reason)")
  }

  @Test("A flapping probe never passes; the deadline decides")
  func flapping() {
    let rounds = (0..<61).map { [$0 % 3 == 2 ? sick : good] }
    let verdicts = verdicts(gate(), rounds)
    #expect(!verdicts.contains(.passed))
    #expect(verdicts.last?.failure != nil)
  }

  @Test(
    "Another version that answers again and again fails before the deadline; once or flapping it does not")
  func wrongVersion() {
    #expect(verdicts(gate(), [[other], [other], [other]]).last?.failure?.contains("1.0.0 came") == true)
    #expect(verdicts(gate(), [[other], [other]]).last?.failure == nil)
    #expect(verdicts(gate(1), [[other]]).last?.failure == nil)
    #expect(verdicts(gate(), [[other], [other], [good], [other], [other]]).last?.failure == nil)
  }

  @Test("The deadline itself is in time, and a moment later is too late")
  func deadline() {
    for (moment, isPassed) in [(Int64(59_999), true), (60_000, true), (60_001, false)] {
      var reducer = GateReducer(gate(2), began: at(0))
      for second in 1..<59 { _ = reducer.take([sick], at: at(Int64(second))) }
      _ = reducer.take([good], at: at(59))
      let verdict = reducer.take([good], at: Moment(milliseconds: moment))
      #expect(verdict.isPassed == isPassed)
      #expect((verdict.failure != nil) == !isPassed)
    }
  }

  @Test("What is left is told")
  func left() {
    var reducer = GateReducer(gate(), began: at(5))
    for second in 6...9 { _ = reducer.take([dead], at: at(Int64(second))) }
    #expect(reducer.left(at: at(10)) == .seconds(55))
  }

  @Test(
    "A time in which nobody looked is left out, and the answer at its end is no bad one",
    arguments: [sick, dead, other, late])
  func suspended(bad: Sample) {
    var reducer = GateReducer(gate(2), began: at(0))
    _ = reducer.take([good], at: at(1))
    #expect(reducer.take([bad], at: at(3600)).failure == nil)
    #expect(!reducer.take([good], at: at(3601)).isPassed)
    #expect(reducer.take([good], at: at(3602)).isPassed)
  }

  @Test("A streak does not go on behind a time in which nobody looked, and a sick version fails all the same")
  func afterwards() {
    var reducer = GateReducer(gate(2), began: at(0))
    _ = reducer.take([good], at: at(1))
    #expect(!reducer.take([good], at: at(3600)).isPassed)
    var failed: Int64?
    for second in Int64(3601)...3700 where failed == nil {
      if reducer.take([sick], at: at(second)).failure != nil { failed = second }
    }
    // A minute, less the second before and what a round may take.
    #expect(failed == 3647)
  }

  @Test("A gate that asks for nothing passes no sick answer", arguments: [0, -1, Int.min])
  func senseless(successes: Int) {
    #expect(verdicts(gate(successes), [[sick], [], [dead]]).allSatisfy { !$0.isPassed })
    #expect(verdicts(gate(successes), [[good]]).last == .passed)
  }

  @Test("A clock that runs back, or far ahead, passes nothing by itself")
  func clock() {
    var reducer = GateReducer(gate(), began: at(1000))
    #expect(!reducer.take([good], at: at(0)).isPassed)
    #expect(!reducer.take([good], at: Moment(milliseconds: Int64.min)).isPassed)
    #expect(!reducer.take([good], at: Moment(milliseconds: Int64.max)).isPassed)
    #expect(reducer.take([sick], at: Moment(milliseconds: Int64.max)).failure == nil)
  }
}

@Suite struct SoakReducerTests {
  private func soak(_ length: Span = .seconds(10), tolerance: Int = 0, successes: Int = 3) -> SoakReducer {
    SoakReducer(
      length: length, gate: gate(successes, deadline: .seconds(20)), tolerance: tolerance, began: at(0))
  }

  @Test("It passes at its length, not before, with enough healthy rounds")
  func passes() {
    var soak = soak()
    for second in 1..<10 { #expect(!soak.take([good], at: at(Int64(second))).isPassed) }
    #expect(soak.take([good], at: at(10)).isPassed)
    #expect(soak.samples == 10)
  }

  @Test("Without samples that the candidate served it does not pass, and ends", arguments: [[unasked], []])
  func noSamples(round: [Sample]) {
    var soak = soak()
    for second in 1...30 {
      let verdict = soak.take(round, at: at(Int64(second)))
      #expect(!verdict.isPassed && verdict.failure == nil)
    }
    #expect(soak.take(round, at: at(31)).failure?.contains("not healthy at the end") == true)
    #expect(soak.samples == 0)
  }

  @Test(
    "More unhealthy rounds in a row than are borne are a breach at once",
    arguments: [sick, other, dead, late])
  func breach(bad: Sample) {
    for tolerance in 0...2 {
      var soak = soak(tolerance: tolerance)
      for second in 0..<tolerance { #expect(soak.take([good, bad], at: at(Int64(second))).failure == nil) }
      #expect(soak.take([good, bad], at: at(5)).failure != nil)
    }
  }

  @Test("A healthy round makes borne ones forgotten; a question that could not be asked does not")
  func tolerance() {
    var healed = soak(tolerance: 1)
    for round in [[sick], [good], [sick], [good]] { #expect(healed.take(round, at: at(1)).failure == nil) }
    for unknown in [[unasked], [], [good, unasked]] {
      var sickened = soak(tolerance: 1)
      #expect(sickened.take([sick], at: at(1)).failure == nil)
      #expect(sickened.take(unknown, at: at(2)).failure == nil)
      #expect(sickened.take([sick], at: at(3)).failure != nil)
    }
  }

  @Test("It does not end on an unhealthy answer, though that one is borne")
  func endsHealthy() {
    var soak = soak(tolerance: 5)
    for second in 1..<10 { _ = soak.take([good], at: at(Int64(second))) }
    #expect(!soak.take([sick], at: at(10)).isPassed)
    for second in 11...12 { #expect(!soak.take([good], at: at(Int64(second))).isPassed) }
    #expect(soak.take([good], at: at(13)).isPassed)
  }

  @Test("It does not end on rounds that were not asked, however many were healthy before")
  func endsAsked() {
    var soak = soak(tolerance: 5)
    for second in 1..<10 { _ = soak.take([good], at: at(Int64(second))) }
    for second in 10..<14 { #expect(!soak.take([unasked], at: at(Int64(second))).isPassed) }
    for second in 14..<16 { #expect(!soak.take([good], at: at(Int64(second))).isPassed) }
    #expect(soak.take([good], at: at(16)).isPassed)
  }

  @Test("Fewer healthy answers than the gate asks for are waited for, but not for ever")
  func few() {
    var soak = soak(tolerance: 100, successes: 3)
    for second in 1..<29 { #expect(soak.take([sick], at: at(Int64(second))).failure == nil) }
    for second in 29...30 { #expect(!soak.take([good], at: at(Int64(second))).isPassed) }
    #expect(soak.check(at: at(30)).failure == nil)
    // Answers that have begun to be healthy are waited for; the next ones decide.
    #expect(soak.check(at: Moment(milliseconds: 30_001)).failure == nil)
    var sickAgain = soak
    #expect(sickAgain.take([sick], at: at(31)).failure?.hasPrefix("not healthy at the end") == true)
    #expect(soak.take([good], at: at(31)).isPassed)
  }

  @Test(
    "A time in which nobody looked is no part of the soak, and the answer at its end no breach",
    arguments: [sick, dead, other, late])
  func suspended(bad: Sample) {
    var soak = soak(.seconds(20))
    for second in 1...5 { _ = soak.take([good], at: at(Int64(second))) }
    #expect(soak.take([bad], at: at(3600)).failure == nil)
    // Of 20 s there were 5, and what a round may take.
    for second in 3601..<3603 { #expect(!soak.take([good], at: at(Int64(second))).isPassed) }
    #expect(soak.left(at: at(3602)) == .seconds(1))
    #expect(soak.take([good], at: at(3603)).isPassed)
    #expect(soak.take([bad], at: at(3604)).failure != nil)
  }

  @Test(
    "What a host takes long to be asked between two rounds hides no breach; of it no more counts than a round takes"
  )
  func slowChecks() {
    var sick = soak(.seconds(60))
    _ = sick.take([good], at: at(1))
    sick.rest(at: at(16))
    #expect(sick.take([dead], at: at(17)).failure != nil)
    var healthy = soak(.seconds(60))
    var rounds = 0
    while !healthy.take([good], at: at(Int64(rounds * 16 + 1))).isPassed, rounds < 20 {
      healthy.rest(at: at(Int64(rounds * 16 + 16)))
      rounds += 1
    }
    #expect(rounds > 4 && rounds < 8, "of 15 s each a round's longest counts, and the soak has its end")
  }

  @Test("Probes that wait for their turn and then hang are watched: where many hosts do, each has its breach")
  func crowded() {
    var soak = SoakReducer(
      length: .seconds(600),
      gate: Gate(successes: 3, interval: .seconds(1), timeout: .seconds(30), deadline: .seconds(60)),
      tolerance: 0,
      began: at(0))
    _ = soak.take([good], at: at(1))
    #expect(soak.take([dead], at: at(77)).failure != nil)
  }

  @Test("A controller that sleeps while it asks a host has slept all the same")
  func sleepsInChecks() {
    var soak = soak(.seconds(60))
    _ = soak.take([good], at: at(1))
    soak.rest(at: at(3600))
    #expect(soak.take([dead], at: at(3601)).failure == nil)
    #expect(soak.take([dead], at: at(3602)).failure != nil)
  }

  @Test("A host that could not be asked until late is given its time anew, and not for ever")
  func cutOff() {
    var soak = soak(successes: 3)
    for second in 1..<29 { #expect(soak.take([unasked], at: at(Int64(second))).failure == nil) }
    for second in 31..<33 { #expect(soak.take([good], at: at(Int64(second))).failure == nil) }
    #expect(soak.take([good], at: at(33)).isPassed)
    var flickers = self.soak(successes: 3)
    for second in 1...60 {
      #expect(
        flickers.take(second % 2 == 0 ? [unasked] : [good], at: at(Int64(second))).failure == nil
          || second > 30)
    }
    #expect(flickers.take([unasked], at: at(62)).failure != nil)
  }

  @Test("A soak of no length adds nothing to the proof of the flip")
  func none() { #expect(soak(.zero).check(at: at(0)).isPassed) }
}

@Suite struct PlannedWaveTests {
  private func cut(_ total: Int, _ amounts: Amount...) -> [[Int]] {
    PlannedWave.waves(of: makePolicy(amounts.map { wave($0) }), total: total).map { Array($0.range) }
  }

  @Test("Waves follow one another and take shares rounded up, never none")
  func shares() {
    #expect(cut(3, .share(basisPoints: 100), everybody) == [[0], [1, 2]])
    #expect(cut(10, .share(basisPoints: 1001), everybody) == [[0, 1], Array(2..<10)])
    #expect(cut(10, .share(basisPoints: 1000), everybody) == [[0], Array(1..<10)])
    #expect(cut(1, .share(basisPoints: 1), .share(basisPoints: 5000), everybody) == [[0]])
  }

  @Test("A wave that adds no host is left out; counts end with the fleet")
  func leftOut() {
    #expect(cut(4, .count(2), .count(2), .count(1), everybody) == [[0, 1], [2, 3]])
    #expect(cut(2, .count(5), everybody) == [[0, 1]])
    #expect(cut(0, .count(1), everybody) == [])
    #expect(cut(5, .count(2)) == [[0, 1]])
    #expect(cut(5, .count(-1), .count(0)) == [])
  }

  @Test("A batch is of its wave, rounded up, never none and never more than the wave")
  func batches() {
    for (batch, expected) in [
      (Amount.share(basisPoints: 1000), 1), (.share(basisPoints: 1500), 2), (.count(99), 10), (.count(0), 1),
      (.share(basisPoints: 1), 1), (everybody, 10),
    ] {
      let waves = PlannedWave.waves(
        of: makePolicy([wave(.count(5)), wave(.count(15), batch: batch)]), total: 20)
      #expect(waves.map(\.batch) == [5, expected])
    }
  }

  @Test("Every host is in one wave, for any fleet and any growing shares")
  func everyHost() {
    for total in 0...200 {
      let waves = cut(total, .count(1), .share(basisPoints: 333), .share(basisPoints: 5000), everybody)
      #expect(waves.flatMap { $0 } == Array(0..<total))
      #expect(!waves.contains([]))
    }
  }
}
