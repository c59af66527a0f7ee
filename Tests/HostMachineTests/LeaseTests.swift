import RolloutModel
import Testing

@testable import HostMachine

@Suite struct LeaseTests {
  @Test func epochsGrowAndOnlyWithTheHolder() {
    var host = PretendHost()
    #expect(epoch(host.run(Orders.acquire())) == 1)
    #expect(epoch(host.run(Orders.acquire())) == 1, "the same controller gets its lease back")
    #expect(host.run(Orders.acquire("controller-2")).code == .leaseHeld)
    #expect(epoch(host.run(Orders.acquire("controller-2", takeOver: true))) == 2)
    #expect(epoch(host.run(Orders.acquire("controller-1", takeOver: true))) == 3, "never an epoch twice")
  }

  @Test func aLeaseThatRanOutIsFreeForOthersAndItsHoldersUntilThen() {
    var host = PretendHost()
    _ = host.run(Orders.acquire())
    host.pass(.seconds(600))
    #expect(host.run(.renew(Orders.key, ttl: .seconds(60))).code == nil)
    host.pass(.seconds(61))
    #expect(epoch(host.run(Orders.acquire("controller-2"))) == 2)
    #expect(host.run(.renew(Orders.key, ttl: .seconds(60))).code == .staleLease)
  }

  @Test func aLeaseGivenBackIsOver() {
    var host = PretendHost()
    _ = host.run(Orders.acquire())
    #expect(host.run(.release(Orders.key)) == .done)
    #expect(host.run(.release(Orders.key)) == .done, "twice is once")
    #expect(host.run(.renew(Orders.key, ttl: .seconds(60))).code == .staleLease)
    #expect(epoch(host.run(Orders.acquire())) == 2)
  }

  @Test("whoever does not hold the lease changes nothing")
  func staleKeysChangeNothing() {
    let keys = [
      LeaseKey(controller: "controller-1", epoch: 0), LeaseKey(controller: "controller-1", epoch: 2),
      LeaseKey(controller: "controller-2", epoch: 1), LeaseKey(controller: "", epoch: UInt64.max),
    ]
    for key in keys {
      var host = PretendHost.flipped()
      let before = host
      var flip = FlipOrder(
        agent: PretendHost.agent, flip: "g", from: .green, to: .blue, release: Orders.first.digest,
        bootID: host.now.bootID, invocation: host.blue.invocation, gateAge: .zero, confirmWithin: .seconds(60)
      )
      flip.from = .green
      let orders: [AgentOrder] = [
        .renew(key, ttl: .seconds(1)), .release(key), .stage(key, Orders.second),
        .stageEnd(key, Orders.second),
        .start(key, .blue, Orders.first, deadline: .seconds(1)),
        .discard(key, .blue, release: nil, reason: "", refuse: false),
        .flip(key, flip),
        .confirm(key, flip: "f"), .promote(key, flip: "f"), .revert(key, flip: "f", reason: "", refuse: true),
        .retain(key, Retention(running: .zero, installed: .zero)),
      ]
      for order in orders {
        #expect(host.run(order).code == .staleLease)
        #expect(host.isUntouched(since: before))
      }
    }
  }

  @Test func nothingIsKnownOfAnAgentBeforeItsFirstLease() {
    var host = PretendHost()
    #expect(host.run(.confirm(Orders.key, flip: "f")).code == .notFound)
    #expect(host.run(.rollback(reason: "", takeOver: true)).code == .notFound)
    for order in [AgentOrder.tick, .boot, .stopped(.blue, invocation: "", how: "")] {
      #expect(host.run(order) == .done)
    }
    #expect(host.done == [])
  }

  @Test func anAgentWhoseRecordWasLostIsNotTakenForNew() {
    var host = PretendHost.flipped(.promoted)
    host.disk = nil
    let before = host
    #expect(host.run(Orders.acquire()).code == .system)
    #expect(host.isUntouched(since: before))
  }

  @Test func portsAreNotMovedUnderWhatRuns() {
    var host = PretendHost.flipped(.promoted)
    for change in [{ $0.slots.green = 9999 }, { $0.publicPort = 9998 }] as [(inout AgentSetup) -> Void] {
      guard case .acquire(var request) = Orders.acquire() else { return }
      change(&request.setup)
      let before = host
      #expect(host.run(.acquire(request)).code == .invalid)
      #expect(host.isUntouched(since: before))
    }
  }

  @Test func portsThatCanNotBeAreRefused() {
    for change in [
      { $0.slots.blue = 0 }, { $0.slots.green = 65536 }, { $0.slots.green = 7001 }, { $0.publicPort = 7002 },
      { $0.publicPort = -1 },
    ] as [(inout AgentSetup) -> Void] {
      guard case .acquire(var request) = Orders.acquire() else { return }
      change(&request.setup)
      var host = PretendHost()
      #expect(host.run(.acquire(request)).code == .invalid)
      #expect(host.disk == nil)
    }
  }

  private func epoch(_ answer: AgentAnswer?) -> UInt64? {
    guard case .lease(let lease)? = answer else { return nil }
    return lease.key.epoch
  }
}
