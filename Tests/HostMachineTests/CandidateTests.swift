import RolloutModel
import Testing

@testable import HostMachine

@Suite struct CandidateTests {
  @Test func aCandidateIsStartedOnceHoweverOftenItIsAsked() {
    var host = PretendHost.withCandidate()
    let unit = host.green
    let record = host.disk
    #expect(host.run(Orders.start(.green, Orders.second)) == .status)
    #expect(host.green == unit)
    #expect(host.disk == record)
  }

  @Test func aCandidateThatDoesNotComeUpLeavesNothing() {
    var host = PretendHost.withCandidate()
    _ = host.run(.discard(Orders.key, .green, reason: ""))
    host.green.canStart = false
    #expect(host.run(Orders.start(.green, Orders.second)).code == .unitFailed)
    #expect(host.disk?.green == nil)
    #expect(host.written[.green] == nil)
    #expect(host.traffic == .blue)
    #expect(host.wrongs == [])
  }

  @Test func aPortThatIsTakenLeavesNothing() {
    var host = PretendHost.withCandidate()
    _ = host.run(.discard(Orders.key, .green, reason: ""))
    host.failing = { $0 == .requireFreePort(.green) }
    #expect(host.run(Orders.start(.green, Orders.second)).code == .system)
    #expect(host.disk?.green == nil)
    #expect(!host.green.active)
  }

  @Test func whatIsStagedIsNoGarbageUntilItIsGivenUp() {
    var host = PretendHost.flipped(.promoted)
    _ = host.run(.retain(Orders.key, Retention(running: .zero, installed: .zero)))
    let third = Orders.release("3.0.0", "3")
    _ = host.run(.stage(Orders.key, third))
    host.pass(.seconds(31))
    _ = host.run(.tick)  // retires the old slot and collects garbage
    #expect(Set(host.lastKept) == [Orders.second.manifest, third.manifest])
    _ = host.run(.discard(Orders.key, .blue, reason: "given up"))
    #expect(Set(host.lastKept) == [Orders.second.manifest])
    #expect(host.disk?.staged == nil)
  }

  @Test func aForeignUnitIsLeftAlone() {
    var host = PretendHost.withCandidate()
    host.green.active = true
    let before = host
    host.failing = { $0 == .claim(.green) }
    _ = host.run(.start(Orders.key, .green, Orders.first, deadline: .seconds(1)))
    #expect(host.isUntouched(since: before))
  }

  @Test("what serves and what is kept for rollback is neither started over nor discarded")
  func liveAndRetainedSlotsStay() {
    for phase in [FlipPhase.armed, .confirmed, .promoted] {
      for slot in Slot.allCases {
        var host = PretendHost.flipped(phase)
        let before = host
        #expect(host.run(Orders.start(slot, Orders.release("3.0.0", "3"))).code == .invalid)
        #expect(host.run(.discard(Orders.key, slot, reason: "")).code == .invalid)
        #expect(host.isUntouched(since: before))
      }
    }
  }

  @Test func theRetainedSlotIsFreeOnceTheRolloutHasEnded() {
    var host = PretendHost.flipped(.promoted)
    _ = host.run(.retain(Orders.key, Retention(running: .seconds(3600), installed: .seconds(3600))))
    #expect(host.run(Orders.start(.blue, Orders.release("3.0.0", "3"))).code == .draining)
    host.pass(.seconds(30))
    #expect(host.run(Orders.start(.blue, Orders.release("3.0.0", "3"))) == .status)
    #expect(host.disk?.retained == nil)
    #expect(host.traffic == .green)
    #expect(host.wrongs == [])
  }

  @Test func aNewRolloutMayUseTheRetainedSlotOfOneThatWasNeverEnded() {
    var host = PretendHost.flipped(.promoted)
    host.pass(.seconds(601))
    _ = host.run(Orders.acquire("controller-2"))
    let key = LeaseKey(controller: "controller-2", epoch: 2)
    #expect(host.run(.start(key, .blue, Orders.release("3.0.0", "3"), deadline: .seconds(5))) == .status)
    #expect(host.traffic == .green)
  }

  @Test func aDiscardedSlotIsEmptyHoweverOftenItIsAsked() {
    var host = PretendHost.withCandidate()
    #expect(host.run(.discard(Orders.key, .green, reason: "")) == .status)
    let record = host.disk
    #expect(!host.green.active)
    #expect(host.run(.discard(Orders.key, .green, reason: "")) == .status)
    #expect(host.disk == record)
  }

  @Test func aReleaseOfAnotherAgentIsRefused() {
    var host = PretendHost.withCandidate()
    var release = Orders.second
    release.manifest.agent = AgentName("other") ?? release.manifest.agent
    #expect(host.run(Orders.start(.green, release)).code == .invalid)
  }
}
