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

  @Test("a release that is tried again at the end of its drain is started anew, and not stopped with it")
  func aNewTryOutlivesTheDrainOfTheOld() throws {
    var host = PretendHost.flipped()
    #expect(host.run(.revert(Orders.key, flip: "f", reason: "somebody", refuse: false)) == .status)
    let before = try #require(host.disk?.green?.invocation)
    let drain = try #require(host.disk?.drains.first { $0.side == .green })
    host.now.moment = drain.until.moment(at: host.now)
    #expect(host.run(Orders.start(.green, Orders.second)) == .status)
    #expect(host.disk?.drains == [] && host.disk?.green?.invocation != before)
    _ = host.run(.tick)
    #expect(host.green.active && host.wrongs == [])
  }

  @Test func aCandidateThatDoesNotComeUpLeavesNothing() {
    var host = PretendHost.withCandidate()
    _ = host.run(Orders.discard(.green))
    host.green.canStart = false
    #expect(host.run(Orders.start(.green, Orders.second)).code == .unitFailed)
    #expect(host.disk?.green == nil)
    #expect(host.written[.green] == nil)
    #expect(host.traffic == .blue)
    #expect(host.wrongs == [])
  }

  @Test func aPortThatIsTakenLeavesNothing() {
    var host = PretendHost.withCandidate()
    _ = host.run(Orders.discard(.green))
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
    _ = host.run(Orders.discard(.blue))
    #expect(Set(host.lastKept) == [Orders.second.manifest])
    #expect(host.disk?.staged == nil)
  }

  @Test(
    "what is below the highest floor that the host was told is neither staged nor started, the last good release aside"
  )
  func belowTheFloor() {
    var host = PretendHost.withCandidate()
    _ = host.run(Orders.discard(.green))
    _ = host.run(Orders.acquire(floor: "2.0.1"))
    _ = host.run(Orders.acquire(floor: "1.5"))
    _ = host.run(Orders.acquire())
    #expect(host.disk?.floor == Version("2.0.1"))
    let before = host
    #expect(host.run(.stage(Orders.key, Orders.second)).code == .refusedRelease)
    #expect(host.run(.stageEnd(Orders.key, Orders.second)).code == .refusedRelease)
    #expect(host.run(Orders.start(.green, Orders.second)).code == .refusedRelease)
    #expect(host.isUntouched(since: before))
    #expect(host.run(Orders.start(.green, Orders.first)).code == nil, "it was promoted last")
    _ = host.run(Orders.discard(.green))
    #expect(host.run(Orders.start(.green, Orders.release("2.0.1", "3"))).code == nil)
  }

  @Test(
    "an undo goes below the floor; a person lifts what the host remembers, not what the rollout at hand wants"
  )
  func liftedFloor() {
    var host = PretendHost.flipped()
    _ = host.run(Orders.acquire(floor: "2"))
    #expect(host.run(.revert(Orders.key, flip: "f", reason: "sick", refuse: false)) == .status)
    #expect(host.traffic == .blue)
    _ = host.run(.clear)
    #expect(host.disk?.floor == Version("2"))
    _ = host.run(.release(Orders.key))
    _ = host.run(.clear)
    #expect(host.disk?.floor == nil)
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
        #expect(host.run(Orders.discard(slot)).code == .invalid)
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
    #expect(host.run(Orders.discard(.green)) == .status)
    let record = host.disk
    #expect(!host.green.active)
    #expect(host.run(Orders.discard(.green)) == .status)
    #expect(host.disk == record)
  }

  @Test func aReleaseOfAnotherAgentIsRefused() {
    var host = PretendHost.withCandidate()
    var release = Orders.second
    release.manifest.agent = AgentName("other") ?? release.manifest.agent
    #expect(host.run(Orders.start(.green, release)).code == .invalid)
  }

  /// How a discard names what it blames, and what is refused then.
  static let blames: [(String, Digest?, Bool, Bool, [Digest])] = [
    ("what is in the slot", nil, true, true, [Orders.second.digest]),
    ("the named one", Orders.first.digest, true, true, [Orders.first.digest]),
    ("nothing", Orders.second.digest, false, true, []),
    ("the named one, its slot empty", Orders.second.digest, true, false, [Orders.second.digest]),
    ("what was staged, its slot empty", nil, true, false, [Orders.second.digest]),
    ("nothing, its slot empty", Orders.second.digest, false, false, []),
  ]

  @Test(arguments: blames.indices) func aDiscardRemembersWhatItBlames(_ index: Int) {
    let (name, release, refuse, isFilled, expected) = Self.blames[index]
    var host = PretendHost.withCandidate()
    if !isFilled {
      _ = host.run(Orders.discard(.green))
      _ = host.run(.stage(Orders.key, Orders.second))
    }
    let order = Orders.discard(.green, release: release, refuse: refuse)
    #expect(host.run(order) == .status, "\(name)")
    #expect(host.disk?.refused == expected, "\(name)")
    #expect(host.disk?.green == nil && host.disk?.staged == nil, "\(name)")
    let record = host.disk
    #expect(host.run(order) == .status, "\(name)")
    #expect(host.disk == record, "\(name): twice is once")
    #expect(
      (host.run(Orders.start(.green, Orders.second)).code == .refusedRelease)
        == expected.contains(Orders.second.digest), "\(name)")
  }

  @Test func aCandidateThatIsBeingDrainedIsRefusedAllTheSame() {
    var host = PretendHost.flipped()
    _ = host.run(.revert(Orders.key, flip: "f", reason: "nobody confirmed", refuse: false))
    _ = host.run(Orders.discard(.green, refuse: true))
    #expect(host.disk?.refused == [Orders.second.digest])
    #expect(host.green.active, "its connections have the drain's time")
  }
}
