import RolloutModel
import Testing

@testable import HostMachine

@Suite struct UndoTests {
  @Test(arguments: [FlipPhase.armed, .confirmed, .promoted]) func aFlipIsUndoneAtAnyTime(_ phase: FlipPhase) {
    var host = PretendHost.flipped(phase)
    #expect(host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true)) == .status)
    #expect(host.traffic == .blue)
    #expect(host.green.active, "its connections have the drain's time")
    let reverted = host.disk
    #expect(host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true)) == .status)
    #expect(host.disk == reverted, "twice is once")
    host.pass(.seconds(30))
    _ = host.run(.tick)
    #expect(!host.green.active)
    #expect(host.disk?.green == nil)
    #expect(host.written[.green] == nil)
    #expect(host.wrongs == [])
  }

  @Test func anUnconfirmedFlipIsUndoneByTheHostAlone() {
    var host = PretendHost.flipped()
    host.pass(.seconds(119))
    _ = host.run(.tick)
    #expect(host.traffic == .green)
    host.pass(.seconds(1))
    _ = host.run(.tick)
    #expect(host.traffic == .blue)
    #expect(host.disk?.refused == [], "a controller that is gone is not the release's fault")
    #expect(host.disk?.flip?.isUnconfirmed == true)
  }

  @Test func aRebootBeforeTheConfirmIsNotTheReleasesFaultButASickReleaseIs() {
    var host = PretendHost.flipped()
    host.reboot()
    _ = host.run(.boot)
    #expect(host.traffic == .blue)
    #expect(host.disk?.flip?.isUnconfirmed == true)

    host = PretendHost.flipped()
    let invocation = host.green.invocation
    host.green.active = false
    _ = host.run(.stopped(.green, invocation: invocation, how: "exit-code 1"))
    #expect(host.disk?.flip?.phase == .reverted)
    #expect(host.disk?.flip?.isUnconfirmed == false)
  }

  @Test("an undo says which controller ordered it; one that the host began stays its own")
  func whoOrderedAnUndo() {
    var host = PretendHost.flipped()
    _ = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: false))
    #expect(host.disk?.flip?.orderedBy == Orders.key.controller)

    host = PretendHost.flipped(.confirmed)
    host.green.active = false
    host.blue.active = false
    host.blue.canStart = false
    _ = host.run(.stopped(.green, invocation: host.green.invocation, how: "exit-code 1"))
    #expect(host.disk?.flip?.phase == .reverting)
    host.blue.canStart = true
    _ = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: false))
    #expect(host.disk?.flip?.phase == .reverted && host.disk?.flip?.orderedBy == nil)
  }

  @Test func theOldSideIsStartedBeforeTrafficGoesBack() {
    var host = PretendHost.flipped(.confirmed)
    host.blue.active = false
    _ = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true))
    #expect(host.blue.active)
    #expect(host.traffic == .blue)
    #expect(host.wrongs == [])
  }

  @Test func trafficStaysWhereTheOldSideIsDeadAndTheNewOneAnswers() {
    var host = PretendHost.flipped()
    host.blue = PretendHost.Unit(active: false, canStart: false)
    host.pass(.seconds(121))
    _ = host.run(.tick)
    #expect(host.traffic == .green)
    #expect(host.disk?.quarantine != nil)
    #expect(host.disk?.retry == nil)
    #expect(host.run(Orders.start(.blue, Orders.first)).code != nil)
    #expect(host.wrongs == [])

    host.blue.canStart = true
    #expect(host.run(.revert(Orders.key, flip: "f", reason: "again", refuse: false)) == .status)
    #expect(host.traffic == .blue)
    #expect(host.disk?.quarantine == nil)
  }

  @Test func whileNothingAnswersTheOldSideIsTriedAgain() {
    var host = PretendHost.flipped()
    host.blue = PretendHost.Unit(active: false, canStart: false)
    host.green.answers = false
    _ = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true))
    #expect(host.traffic == .green)
    #expect(host.timer == host.now.moment + .seconds(10))
    host.blue.canStart = true
    host.pass(.seconds(10))
    _ = host.run(.tick)
    #expect(host.traffic == .blue)
    #expect(host.disk?.quarantine == nil)
    #expect(host.wrongs == [])
  }

  @Test(
    "a candidate that is down stays down although the old side can't be started; one that is only silent is left alone"
  )
  func aDeadCandidateIsNotBroughtUpAgain() {
    for isUp in [false, true] {
      var host = PretendHost.flipped()
      host.blue = PretendHost.Unit(active: false, canStart: false)
      host.green.answers = false
      host.green.active = isUp
      _ = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true))
      #expect(host.disk?.quarantine != nil && host.disk?.retry != nil)
      #expect(host.done.contains(.stop(.green, wait: false)) == !isUp)
      #expect(host.traffic == .green && host.wrongs == [])
    }
  }

  @Test func aPersonMayAcceptWhatCouldNotBeUndone() {
    var host = PretendHost.flipped()
    host.blue = PretendHost.Unit(active: false, canStart: false)
    _ = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true))
    _ = host.run(.clear)
    #expect(host.disk?.quarantine == nil)
    #expect(host.disk?.flip?.phase == .promoted)
    #expect(host.traffic == .green)
  }

  @Test func aFirstInstallIsTakenAwayAgain() {
    var host = PretendHost()
    _ = host.run(Orders.acquire())
    _ = host.run(Orders.start(.blue, Orders.first))
    _ = host.run(Orders.flip("f", from: nil, to: .blue, on: host))
    _ = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true))
    #expect(host.traffic == nil)
    host.pass(.seconds(30))
    _ = host.run(.tick)
    #expect(!host.blue.active)
    #expect(host.disk?.blue == nil)
  }

  @Test(arguments: [FlipPhase.armed, .confirmed]) func aUnitThatStopsInProbationUndoesItsFlip(
    _ phase: FlipPhase
  ) {
    var host = PretendHost.flipped(phase)
    let invocation = host.green.invocation
    host.green.active = false
    _ = host.run(.stopped(.green, invocation: invocation, how: "exit-code 1"))
    #expect(host.traffic == .blue)
    #expect(host.disk?.refused == [Orders.second.digest])
    #expect(host.done.contains(.stop(.green, wait: false)), "or systemd would start it again")
    #expect(!host.done.contains(.stop(.green, wait: true)), "its stopping waits for this very operation")
  }

  @Test("a stop says nothing of another invocation, of the other slot, or after the promotion")
  func otherStopsUndoNothing() {
    let cases: [(FlipPhase, Slot, String?)] = [
      (.confirmed, .green, "run-0"), (.confirmed, .green, ""), (.confirmed, .blue, nil),
      (.promoted, .green, nil),
    ]
    for (phase, slot, invocation) in cases {
      var host = PretendHost.flipped(phase)
      let before = host
      _ = host.run(.stopped(slot, invocation: invocation ?? host[Side(slot)].invocation, how: "exit-code 1"))
      #expect(host.isUntouched(since: before))
    }
  }

  @Test func aTickSeesAFailureThatTheStopDidNotTell() {
    var host = PretendHost.flipped(.confirmed)
    host.green.restarts = 1
    _ = host.run(.tick)
    #expect(host.traffic == .blue)
  }

  @Test func aPersonRollsBackWithoutAControllerAndIsNotOverruled() {
    var host = PretendHost.flipped(.promoted)
    #expect(host.run(.rollback(reason: "by hand", takeOver: false)).code == .leaseHeld)
    #expect(host.run(.rollback(reason: "by hand", takeOver: true)) == .status)
    #expect(host.traffic == .blue)
    #expect(host.run(.confirm(Orders.key, flip: "f")).code == .staleLease)
    let after = host.disk
    #expect(host.run(.rollback(reason: "by hand", takeOver: true)) == .status)
    #expect(host.disk == after, "a second one does not go forward again")
  }

  @Test func whatIsNotKeptCanNotBeReturnedTo() {
    var host = PretendHost.flipped(.promoted)
    _ = host.run(.retain(Orders.key, Retention(running: .zero, installed: .zero)))
    host.pass(.seconds(31))
    _ = host.run(.tick)
    #expect(host.disk?.blue == nil)
    let before = host
    #expect(host.run(.rollback(reason: "late", takeOver: true)).code == .cannotRestore)
    #expect(host.isUntouched(since: before))
  }

  @Test func anUndoThatWasCutOffIsTriedAgainThoughTheHostWasQuarantined() throws {
    var host = PretendHost.flipped()
    host.blue = PretendHost.Unit(active: false, canStart: false)
    _ = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true))
    #expect(host.disk?.quarantine != nil)
    host.power = 1  // its intent is durable, nothing else
    #expect(host.run(.revert(Orders.key, flip: "f", reason: "again", refuse: true)) == nil)
    host.power = nil
    let due = try #require(host.disk?.nextDue(at: host.now))
    #expect(due == host.now.moment + .seconds(10), "not while it may still be on its way")
    host.blue.canStart = true
    host.pass(.seconds(10))
    _ = host.run(.tick)
    #expect(host.traffic == .blue)
    #expect(host.disk?.quarantine == nil)
    #expect(host.disk?.retry == nil)
    #expect(host.wrongs == [])
  }

  @Test(arguments: [true, false]) func aHostThatGoesDownIsNotQuarantined(_ isDown: Bool) {
    var host = PretendHost.flipped()
    host.blue.active = false
    host.failing = { $0 == .start(.blue, within: .seconds(15)) }
    host.failsAs = isDown ? .shuttingDown : .unitFailed
    let answer = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true))
    #expect(answer.code == (isDown ? .shuttingDown : .cannotRestore))
    #expect((host.disk?.quarantine == nil) == isDown)
    #expect(host.disk?.flip?.phase == .reverting)
    host.failing = { _ in false }
    host.reboot()
    _ = host.run(.boot)
    #expect(host.traffic == .blue)
    #expect(host.disk?.quarantine == nil)
  }

  @Test(
    "what judges units or moves traffic waits where the host goes down; what only keeps the record does not")
  func someOrdersWaitForTheNextBoot() {
    let host = PretendHost.withCandidate()
    let orders: [(AgentOrder, Bool)] = [
      (Orders.start(.green, Orders.second), true), (Orders.discard(.green), true),
      (.stageEnd(Orders.key, Orders.second), true),
      (Orders.flip("f", from: .blue, to: .green, on: host), true), (.confirm(Orders.key, flip: "f"), true),
      (.promote(Orders.key, flip: "f"), true),
      (.revert(Orders.key, flip: "f", reason: "", refuse: true), true),
      (.rollback(reason: "", takeOver: true), true), (.tick, true), (Orders.acquire(), false),
      (.renew(Orders.key, ttl: .seconds(1)), false), (.release(Orders.key), false),
      (.retain(Orders.key, Retention(running: .zero, installed: .zero)), false), (.boot, false),
    ]
    for (order, waits) in orders { #expect(order.waitsForNextBoot == waits, "\(order)") }
  }

  @Test func aFirstInstallIsFinalOnceItsRolloutHasEnded() {
    func promoted() -> PretendHost {
      var host = PretendHost()
      _ = host.run(Orders.acquire())
      _ = host.run(Orders.start(.blue, Orders.first))
      _ = host.run(Orders.flip("f", from: nil, to: .blue, on: host))
      _ = host.run(.confirm(Orders.key, flip: "f"))
      _ = host.run(.promote(Orders.key, flip: "f"))
      return host
    }
    let undos: [AgentOrder] = [
      .revert(Orders.key, flip: "f", reason: "", refuse: true), .rollback(reason: "", takeOver: true),
    ]
    let retain = AgentOrder.retain(Orders.key, Retention(running: .seconds(60), installed: .seconds(60)))
    for undo in undos {
      var early = promoted()
      #expect(early.run(undo) == .status)
      #expect(early.traffic == nil)

      var late = promoted()
      #expect(late.run(retain) == .status)
      let before = late
      #expect(late.run(retain) == .status)
      #expect(late.run(undo).code == .cannotRestore)
      #expect(late.isUntouched(since: before))
    }
  }
}
