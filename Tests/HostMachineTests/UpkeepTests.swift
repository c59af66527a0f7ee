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

  @Test func aRestoreWithoutABootOnlyPutsTrafficBack() {
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
}
