import RolloutModel
import Testing

@testable import HostMachine

@Suite struct FlipTests {
  @Test func anUpgradeGoesFromFlipToPromotion() {
    var host = PretendHost.flipped(.promoted)
    #expect(host.traffic == .green)
    #expect(host.disk?.flip?.phase == .promoted)
    #expect(host.disk?.retained == .blue)
    #expect(host.disk?.lastGood == Orders.second)
    #expect(host.blue.active)
    #expect(host.timer == host.disk?.drains.first?.until.at)
    _ = host.run(.tick)
    #expect(host.blue.active, "the old side is kept until the rollout has ended")
    #expect(host.wrongs == [])
  }

  @Test func timerAndRecordComeBeforeTraffic() throws {
    var host = PretendHost.withCandidate()
    _ = host.run(Orders.flip("f", from: .blue, to: .green, on: host))
    let effects = host.done.map { effect in
      switch effect {
      case .armTimer: "timer"
      case .persist(let record): record.flip?.phase.rawValue ?? ""
      case .moveTraffic: "traffic"
      default: "other"
      }
    }
    #expect(effects == ["other", "timer", "armed", "traffic"])
  }

  /// Beliefs that are not so, and what is answered.
  static let wrongBeliefs: [(String, HostFailure.Code, @Sendable (inout FlipOrder) -> Void)] = [
    ("release", .staleBelief, { $0.release = Orders.first.digest }),
    ("boot", .staleBelief, { $0.bootID = "another" }),
    ("invocation", .staleBelief, { $0.invocation = "run-0" }),
    ("no invocation", .staleBelief, { $0.invocation = "" }),
    ("owner", .staleBelief, { $0.from = nil }),
    ("owner is the candidate", .staleBelief, { $0.from = .green }),
    ("adopted owner", .staleBelief, { $0.from = .adopted }),
    ("old gate", .staleBelief, { $0.gateAge = Span(milliseconds: 60_001) }),
    ("no time to confirm", .invalid, { $0.confirmWithin = .zero }),
    ("too much time to confirm", .invalid, { $0.confirmWithin = .seconds(3601) }),
    ("no name", .invalid, { $0.flip = "" }),
    ("a name of another flip", .staleBelief, { $0.flip = "first" }),
    ("agent", .invalid, { $0.agent = AgentName("other") ?? $0.agent }),
  ]

  @Test(arguments: wrongBeliefs.indices) func aWrongBeliefChangesNothing(_ index: Int) {
    let (name, code, change) = Self.wrongBeliefs[index]
    var host = PretendHost.withCandidate()
    let before = host
    let answer = host.run(Orders.flip("f", from: .blue, to: .green, on: host, change: change))
    #expect(answer.code == code, "\(name)")
    #expect(host.isUntouched(since: before), "\(name)")
  }

  @Test func aGateOfExactlySixtySecondsIsGoodEnough() {
    var host = PretendHost.withCandidate()
    let order = Orders.flip("f", from: .blue, to: .green, on: host) { $0.gateAge = .seconds(60) }
    #expect(host.run(order) == .status)
  }

  @Test("a candidate that died, restarted or was started anew since the gate is not flipped to")
  func aChangedCandidateIsRefused() {
    let changes: [(inout PretendHost) -> Void] = [
      { $0.green.active = false }, { $0.green.restarts = 1 }, { $0.green.invocation = "run-99" },
    ]
    for change in changes {
      var host = PretendHost.withCandidate()
      let order = Orders.flip("f", from: .blue, to: .green, on: host)
      change(&host)
      let before = host
      #expect(host.run(order).code == .staleBelief)
      #expect(host.isUntouched(since: before))
    }
  }

  @Test func trafficThatIsSomewhereElseIsNotFlipped() {
    var host = PretendHost.withCandidate()
    host.traffic = .green
    let order = Orders.flip("f", from: .blue, to: .green, on: host)
    #expect(host.run(order).code == .staleBelief)
  }

  @Test func theSameFlipAgainIsTheSameFlip() {
    for phase in [FlipPhase.armed, .confirmed, .promoted] {
      var host = PretendHost.flipped(phase)
      let record = host.disk
      let order = Orders.flip("f", from: .blue, to: .green, on: host)
      #expect(host.run(order) == .status)
      #expect(host.disk == record)
      #expect(host.traffic == .green)
    }
  }

  @Test func aSecondFlipWaitsForTheFirstOne() {
    for phase in [FlipPhase.armed, .confirmed] {
      var host = PretendHost.flipped(phase)
      let before = host
      #expect(host.run(Orders.flip("g", from: .green, to: .blue, on: host)).code == .staleBelief)
      #expect(host.isUntouched(since: before))
    }
  }

  @Test func aConfirmCountsUntilTheDeadlineAndNotAfter() throws {
    var host = PretendHost.flipped()
    host.pass(.seconds(120))
    #expect(host.run(.confirm(Orders.key, flip: "f")) == .status)
    #expect(host.run(.confirm(Orders.key, flip: "f")) == .status, "twice is once")

    var late = PretendHost.flipped()
    late.pass(Span(milliseconds: 120_001))
    #expect(late.run(.confirm(Orders.key, flip: "f")).code == .flipGone)
    #expect(late.traffic == .blue)
    #expect(late.disk?.flip?.phase == .reverted)
  }

  @Test func confirmAndTimerRaceToOneEnd() {
    var confirmed = PretendHost.flipped()
    confirmed.pass(.seconds(120))
    _ = confirmed.run(.confirm(Orders.key, flip: "f"))
    _ = confirmed.run(.tick)
    #expect(confirmed.disk?.flip?.phase == .confirmed)
    #expect(confirmed.traffic == .green)

    var reverted = PretendHost.flipped()
    reverted.pass(.seconds(120))
    _ = reverted.run(.tick)
    #expect(reverted.run(.confirm(Orders.key, flip: "f")).code == .flipGone)
    #expect(reverted.traffic == .blue)
  }

  @Test func confirmAndPromoteNameTheFlipAndKeepTheOrder() {
    var host = PretendHost.flipped()
    #expect(host.run(.confirm(Orders.key, flip: "g")).code == .flipGone)
    #expect(host.run(.promote(Orders.key, flip: "f")).code == .staleBelief, "not confirmed")
    host.green.invocation = "run-99"
    #expect(host.run(.confirm(Orders.key, flip: "f")).code == .unitFailed)
  }

  @Test func whatIsDeadIsNotPromoted() {
    var host = PretendHost.flipped(.confirmed)
    host.green.active = false
    #expect(host.run(.promote(Orders.key, flip: "f")).code == .unitFailed)
    #expect(host.disk?.flip?.phase == .confirmed)
  }

  @Test func trafficThatCouldNotBeMovedIsAFlipUndone() {
    var host = PretendHost.withCandidate()
    host.failing = { $0 == .moveTraffic(to: .green) }
    #expect(host.run(Orders.flip("f", from: .blue, to: .green, on: host)).code == .system)
    #expect(host.traffic == .blue)
    #expect(host.disk?.flip?.phase == .reverted)
    #expect(host.disk?.refused == [], "the release has done nothing wrong")
  }

  @Test func aReleaseThatWasRefusedIsNotTriedAgainUntilAPersonSaysSo() {
    var host = PretendHost.flipped()
    _ = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true))
    host.pass(.seconds(31))
    _ = host.run(.tick)
    #expect(host.run(Orders.start(.green, Orders.second)).code == .refusedRelease)
    #expect(host.run(.stage(Orders.key, Orders.second)).code == .refusedRelease)
    _ = host.run(.clear)
    #expect(host.run(Orders.start(.green, Orders.second)) == .status)
  }

  /// How traffic looks, and whether a flip is confirmed and promoted then.
  static let looks: [(String, Bool, @Sendable (inout PretendHost) -> Void)] = [
    ("as recorded", true, { _ in }),
    ("nobody has it", false, { $0.traffic = nil }),
    ("the old side has it", false, { $0.traffic = .blue }),
    ("disturbed", false, { $0.disturbance = "a foreign rule" }),
    ("a driver that can't tell", true, { $0.tellsTraffic = false }),
  ]

  @Test(arguments: looks.indices) func onlyTrafficThatIsSeenToArriveIsConfirmed(_ index: Int) {
    let (name, isGood, change) = Self.looks[index]
    for (phase, order) in [
      (FlipPhase.armed, AgentOrder.confirm(Orders.key, flip: "f")),
      (.confirmed, .promote(Orders.key, flip: "f")),
    ] {
      var host = PretendHost.flipped(phase)
      change(&host)
      #expect(host.run(order).code == (isGood ? nil : .staleBelief), "\(name), \(phase)")
      #expect((host.disk?.flip?.phase == phase) == !isGood, "\(name), \(phase)")
    }
  }
}
