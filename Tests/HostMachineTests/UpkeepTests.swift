import RolloutModel
import Testing

@testable import HostMachine

@Suite struct UpkeepTests {
  @Test func theOldSideIsKeptAsLongAsWasPromised() {
    var host = PretendHost.flipped(.promoted)
    let retention = Retention(running: .seconds(3600), installed: .seconds(7200))
    _ = host.run(.retain(Orders.key, retention))
    host.pass(.seconds(1800))
    _ = host.run(.retain(Orders.key, retention))
    host.pass(.seconds(1799))
    _ = host.run(.tick)
    #expect(host.blue.active)
    host.pass(.seconds(1))
    _ = host.run(.tick)
    #expect(!host.blue.active, "counted from the first time it was asked for")
    #expect(host.disk?.blue != nil)
    #expect(host.disk?.retained == .blue, "stopped, it can still be started and returned to")
    host.pass(.seconds(3600))
    _ = host.run(.tick)
    #expect(host.disk?.blue == nil)
    #expect(host.disk?.retained == nil)
    #expect(host.wrongs == [])
  }

  @Test func aRebootNeverShortensTheRetention() {
    var host = PretendHost.flipped(.promoted)
    _ = host.run(.retain(Orders.key, Retention(running: .seconds(7200), installed: .seconds(7200))))
    host.pass(.seconds(3600))
    _ = host.run(.tick)
    host.reboot()
    _ = host.run(.boot)
    #expect(host.blue.active)
    host.pass(.seconds(3590))
    _ = host.run(.tick)
    #expect(host.disk?.blue != nil)
    host.pass(.seconds(20))
    _ = host.run(.tick)
    #expect(host.disk?.blue == nil, "an hour had been written down before")
  }

  @Test func anUnconfirmedFlipEndsWithTheBoot() {
    var host = PretendHost.flipped()
    host.reboot()
    _ = host.run(.boot)
    #expect(host.traffic == .blue)
    #expect(host.blue.active)
    #expect(!host.green.active)
    #expect(host.disk?.flip?.phase == .reverted)
    #expect(host.wrongs == [])
  }

  @Test(arguments: [FlipPhase.confirmed, .promoted]) func aConfirmedSideServesAfterABoot(_ phase: FlipPhase) {
    var host = PretendHost.flipped(phase)
    host.reboot()
    _ = host.run(.boot)
    #expect(host.traffic == .green)
    #expect(host.blue.active, "the way back is as quick as before")
    #expect(host.disk?.green?.invocation == host.green.invocation)
    if phase == .confirmed {
      #expect(host.run(.promote(Orders.key, flip: "f")) == .status)
    }
  }

  @Test func aCandidateThatDoesNotComeUpAfterABootIsUndone() {
    var host = PretendHost.flipped(.confirmed)
    host.reboot()
    host.green.canStart = false
    _ = host.run(.boot)
    #expect(host.traffic == .blue)
    #expect(host.disk?.refused == [Orders.second.digest])
  }

  @Test func aCandidateThatWasNotFlippedIsNotStartedByABoot() {
    var host = PretendHost.withCandidate()
    host.reboot()
    _ = host.run(.boot)
    #expect(host.traffic == .blue)
    #expect(!host.green.active)
    #expect(host.run(Orders.flip("f", from: .blue, to: .green, on: host)).code == .staleBelief)
  }

  @Test func aRestoreWithoutABootChangesNothingOfWhatRuns() {
    var host = PretendHost.flipped()
    let record = host.disk
    host.traffic = nil
    _ = host.run(.boot)
    #expect(host.traffic == .green)
    #expect(host.disk == record)
  }

  @Test func aChoreThatFailsIsTriedAgainLater() {
    var host = PretendHost.flipped()
    _ = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true))
    host.pass(.seconds(31))
    host.failing = { $0 == .empty(.green) }
    _ = host.run(.tick)
    #expect(host.disk?.green != nil)
    #expect(host.timer == host.now.moment + .seconds(30))
    host.failing = { _ in false }
    host.pass(.seconds(30))
    _ = host.run(.tick)
    #expect(host.disk?.green == nil)
  }

  @Test func anAdoptedAgentIsTheFirstLiveSideAndIsGivenBack() {
    var host = PretendHost()
    host.traffic = .adopted
    _ = host.run(Orders.acquire(adopt: Adoption(unit: "old.service", port: 8400)))
    _ = host.run(Orders.start(.blue, Orders.first))
    #expect(host.run(Orders.flip("f", from: .adopted, to: .blue, on: host)) == .status)
    #expect(host.disk?.retained == .adopted)
    _ = host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: true))
    #expect(host.traffic == .adopted)
    #expect(host.adopted.active)
  }

  @Test(
    "An adopted agent that is kept is stopped in each boot, and comes up in none once it is not kept any more"
  )
  func anAdoptedAgentGoes() {
    var host = PretendHost()
    host.traffic = .adopted
    _ = host.run(Orders.acquire(adopt: Adoption(unit: "old.service", port: 8400)))
    _ = host.run(Orders.start(.blue, Orders.first))
    _ = host.run(Orders.flip("f", from: .adopted, to: .blue, on: host))
    _ = host.run(.confirm(Orders.key, flip: "f"))
    _ = host.run(.promote(Orders.key, flip: "f"))
    _ = host.run(.retain(Orders.key, Retention(running: .zero, installed: .seconds(3600))))
    host.pass(.seconds(31))
    _ = host.run(.tick)
    #expect(!host.adopted.active && host.disk?.retained == .adopted)
    host.reboot()
    #expect(host.adopted.active)
    _ = host.run(.boot)
    #expect(!host.adopted.active && host.disk?.retained == .adopted)
    host.pass(.seconds(3700))
    _ = host.run(.tick)
    #expect(host.disk?.retained == nil)
    host.reboot()
    #expect(!host.adopted.active)
    #expect(host.wrongs == [])
  }

  @Test("systemd may begin anew without the kernel: units are gone, the boot is the same")
  func aRestoreStartsTheOwnerInTheSameBootToo() {
    for phase in [FlipPhase.armed, .confirmed, .promoted] {
      var host = PretendHost.flipped(phase)
      host.traffic = nil
      host.blue.active = false
      host.green.active = false
      _ = host.run(.boot)
      let owner: Side = phase == .armed ? .blue : .green
      #expect(host.traffic == owner, "\(phase)")
      #expect(host.alive(owner), "\(phase)")
      #expect(host.disk?[.green]?.invocation == host.green.invocation || phase == .armed, "\(phase)")
      #expect(host.disk?.refused == [], "\(phase)")
      #expect(host.disk?.flip?.isUnconfirmed == (phase == .armed), "\(phase)")
      if phase == .confirmed { #expect(host.run(.promote(Orders.key, flip: "f")) == .status) }
      #expect(host.wrongs == [], "\(phase)")
    }
  }

  @Test func aFlipInProbationIsLookedAtEveryTenSeconds() {
    for phase in [FlipPhase.armed, .confirmed] {
      var host = PretendHost.flipped(phase)
      #expect(host.timer == host.now.moment + .seconds(10), "\(phase)")
      host.pass(.seconds(10))
      _ = host.run(.tick)
      #expect(host.timer == host.now.moment + .seconds(10), "\(phase)")
      host.green.active = false  // and nobody told
      host.pass(.seconds(10))
      _ = host.run(.tick)
      #expect(host.traffic == .blue, "\(phase)")
    }
  }

  @Test func aLookAtTheRetentionThatWasMissedIsSeenToBeLate() {
    var host = PretendHost.flipped(.promoted)
    host.pass(.seconds(31))
    _ = host.run(.tick)
    _ = host.run(.retain(Orders.key, Retention(running: .seconds(60), installed: .seconds(7200))))
    let due = host.now.moment + .seconds(60)
    #expect(host.disk?.nextDue(at: host.now) == due)
    host.pass(.seconds(70))
    #expect(host.disk?.nextDue(at: host.now) == due)
    _ = host.run(.tick)
    #expect(!host.blue.active)
    #expect(host.disk?.nextDue(at: host.now) == host.now.moment + .seconds(3600))
  }

  /// Orders that announce something, and what they lead to.
  static let announced: [(String, @Sendable () -> PretendHost, @Sendable (PretendHost) -> AgentOrder)] = [
    (
      "start",
      {
        var host = PretendHost.withCandidate()
        _ = host.run(Orders.discard(.green))
        return host
      }, { _ in Orders.start(.green, Orders.second) }
    ),
    ("start over another", { .withCandidate() }, { _ in Orders.start(.green, Orders.release("3.0.0", "3")) }),
    ("flip", { .withCandidate() }, { Orders.flip("f", from: .blue, to: .green, on: $0) }),
    ("revert", { .flipped() }, { _ in .revert(Orders.key, flip: "f", reason: "", refuse: true) }),
    ("refuse", { .withCandidate() }, { _ in Orders.discard(.green, refuse: true) }),
  ]

  @Test(arguments: announced.indices) func whatCouldNotBeWrittenDownIsNotDone(_ index: Int) {
    let (name, scene, order) = Self.announced[index]
    var host = scene()
    let before = host
    host.failing = { if case .persist = $0 { true } else { false } }
    #expect(host.run(order(host)).code == .system, "\(name)")
    // A timer too many does nothing.
    host.timer = before.timer
    #expect(host.isUntouched(since: before), "\(name)")
  }

  @Test func trafficIsPlacedAfterABootThoughNothingCanBeWrittenDown() {
    var host = PretendHost.flipped(.promoted)
    host.reboot()
    host.failing = { if case .persist = $0 { true } else { false } }
    #expect(host.run(.boot).code == .system)
    #expect(host.traffic == .green)
    #expect(host.green.active)
  }

  @Test func whatAForgetLeftIsRemovedByTheNextOne() {
    var host = PretendHost()
    #expect(host.run(.forget(force: true)) == .done)
    #expect(host.done == [.removeState])
    host = PretendHost.flipped(.promoted)
    #expect(host.run(.forget(force: true)) == .done)
    #expect(host.done.last == .removeState)
  }

  @Test("A removal honours a live lease and a flip that is not promoted, whatever the agent serves")
  func aRemovalHonoursWhoIsAtWork() {
    func free(_ phase: FlipPhase) -> PretendHost {
      var host = PretendHost.flipped(phase)
      host.disk?.lease = nil
      return host
    }
    var reverting = free(.confirmed)
    reverting.disk?.flip?.phase = .reverting
    let table: [(PretendHost, HostFailure.Code)] = [
      (PretendHost.withCandidate(), .leaseHeld), (PretendHost.flipped(.promoted), .leaseHeld),
      (free(.armed), .staleBelief), (free(.confirmed), .staleBelief), (reverting, .staleBelief),
    ]
    for (before, code) in table {
      var host = before
      #expect(host.run(.remove).code == code)
      #expect(host.isUntouched(since: before) && host.done.isEmpty)
    }
  }

  @Test func aRemovalTakesAllAwayAndSaysSoBeforeItEndsTheWay() throws {
    var ended = PretendHost.flipped(.promoted)
    ended.pass(.seconds(601))
    var free = PretendHost.flipped(.promoted)
    free.disk?.lease = nil
    for var host in [ended, free] {
      #expect(host.disk?.owner == .green)
      #expect(host.run(.remove) == .done)
      #expect(host.done.prefix(2) == [.closeAgentDoor, .announce])
      #expect(host.done.suffix(2) == [.removeAll, .removeState])
      #expect(host.traffic == nil && !host.blue.active && !host.green.active && host.written.isEmpty)
    }
    var unknown = PretendHost()
    #expect(unknown.run(.remove) == .done)
    #expect(unknown.done == [.closeAgentDoor, .removeState])
  }
}
