import Crypto
import FoundationEssentials
import Glibc
import HostProtocol
import RolloutModel
import Testing

@testable import HostCore
@testable import HostMachine

extension HostTests {
  static func sha256(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: Data(bytes))) }

  @Suite("How operations are carried out") struct DriverTests {
    @Test("a host that goes down begins nothing that would judge a unit")
    func shutdown() throws {
      let fixture = try DriverFixture()
      fixture.hands.isDown = true
      let before = try #require(fixture.state)
      let key = DriverFixture.key
      let orders: [AgentOrder] = [
        .start(key, .green, fixture.release, deadline: .seconds(1)),
        .discard(key, .green, release: nil, reason: "", refuse: true), fixture.flip,
        .revert(key, flip: "f", reason: "", refuse: true), .rollback(reason: "", takeOver: true),
        .stageEnd(key, fixture.release),
      ]
      for order in orders {
        guard case .failed(let failure) = try fixture.driver.carryOut(order) else {
          Issue.record("\(order) was done")
          continue
        }
        #expect(failure.code == .shuttingDown)
      }
      #expect(try fixture.driver.carryOut(.tick) == .done)
      #expect(fixture.state == before)
      #expect(fixture.hands.done == [])
      fixture.hands.isDown = false
      #expect(try fixture.driver.carryOut(fixture.flip) == .status)
    }

    @Test("the time that a lock was waited for makes a gate older")
    func gateAge() throws {
      let fixture = try DriverFixture()
      fixture.hands.between = .seconds(2)
      guard case .failed(let failure) = try fixture.driver.carryOut(fixture.flip) else {
        Issue.record("the flip was done")
        return
      }
      #expect(failure.code == .staleBelief)
      #expect(failure.message.contains("1m1s"))
    }

    @Test("record and traffic change under the traffic's lock, and nothing else does")
    func trafficLock() throws {
      let fixture = try DriverFixture()
      let home = fixture.home
      var held: [String] = []
      fixture.hands.watch = { effect in
        let isHeld = failure { _ = try AgentLock(trafficOf: home, within: .zero) }?.code == .deadline
        if isHeld { held.append("\(effect)") }
      }
      #expect(
        try fixture.driver.carryOut(
          .start(DriverFixture.key, .green, try DriverFixture.release(11), deadline: .seconds(1))) == .status)
      #expect(held == [])
      let third = try #require(fixture.state?.green)
      _ = try fixture.driver.carryOut(
        .flip(
          DriverFixture.key,
          FlipOrder(
            agent: fixture.agent, flip: "f", from: .blue, to: .green, release: third.release.digest,
            bootID: "boot-1", invocation: third.invocation, gateAge: .zero, confirmWithin: .seconds(60))))
      #expect(held.contains { $0.contains("moveTraffic") })
      #expect(!held.contains { $0.contains("observe") })
    }

    @Test("a lease that is refused leaves no folder; one that is held leaves it")
    func refusedLease() throws {
      let folder = try TemporaryFolder()
      let hands = PretendHands()
      var setup = try trafficSetup(adopt: nil)
      let driver = AgentDriver(agent: setup.name, folder: "\(folder.path)/states/demo", hands: hands)
      func acquire(_ controller: String) throws -> AgentAnswer {
        try driver.carryOut(
          .acquire(
            LeaseRequest(
              setup: setup, controller: controller, holder: "", reason: "", ttl: .seconds(60),
              takeOver: false)))
      }
      // A pretended unit runs already: its record would have been lost.
      guard case .failed = try acquire("controller-1") else {
        Issue.record("the lease was given")
        return
      }
      #expect(folder.listing("states").isEmpty)
      setup.publicPort = 0
      guard case .failed = try acquire("controller-1") else {
        Issue.record("the lease was given")
        return
      }
      #expect(folder.listing("states").isEmpty)

      let known = try DriverFixture()
      _ = try known.driver.carryOut(
        .acquire(
          LeaseRequest(
            setup: setup, controller: "controller-2", holder: "", reason: "", ttl: .seconds(60),
            takeOver: false)))
      #expect(known.state != nil)
    }

    @Test("while the door of an unknown agent is closed for its removal nobody can begin with it")
    func removesUnknown() throws {
      let folder = try TemporaryFolder()
      let agent = try #require(AgentName("demo"))
      let (hands, home) = (PretendHands(), "\(folder.path)/demo")
      var isLocked: Bool?
      hands.atDoor = { () throws(HostFailure) in
        isLocked = failure { _ = try AgentLock(folder: home, within: .zero) }?.code == .deadline
      }
      let driver = AgentDriver(agent: agent, folder: home, hands: hands)
      #expect(try driver.carryOut(.remove) == .done)
      #expect(isLocked == true)
    }

    @Test("an agent that runs, and that nobody manages, is not removed")
    func refusesUnmanaged() throws {
      let folder = try TemporaryFolder()
      let agent = try #require(AgentName("demo"))
      let (hands, home) = (PretendHands(), "\(folder.path)/demo")
      hands.isServedOtherwise = true
      hands.atDoor = { () throws(HostFailure) in Issue.record("its door is closed") }
      let answer = try AgentDriver(agent: agent, folder: home, hands: hands).carryOut(.remove)
      guard case .failed(let why) = answer else {
        Issue.record("it was removed")
        return
      }
      #expect(why.code == .invalid)
      #expect(folder.listing("").isEmpty, "what was made to lock it is gone")
    }

    @Test("a lock that went with its folder locks nothing")
    func removedLock() async throws {
      let folder = try TemporaryFolder()
      let path = "\(folder.path)/lock"
      var first: AgentLock? = try AgentLock(path: path, within: .zero)
      let waiting = Task.detached {
        let second = try AgentLock(path: path, within: .seconds(20))
        defer { withExtendedLifetime(second) {} }
        return failure { _ = try AgentLock(path: path, within: .zero) }?.code
      }
      // So that it has the file open; where it hasn't yet, the test asks for less.
      try await Task.sleep(for: .milliseconds(100))
      try #require(unlink(path) == 0)
      withExtendedLifetime(first) {}
      first = nil
      #expect(try await waiting.value == .deadline)
    }

    @Test("a state keeps the room that it once took")
    func stateKeepsItsRoom() throws {
      let fixture = try DriverFixture()
      let file = StateFile(folder: fixture.home)
      let small = try #require(fixture.state)
      var large = small
      large.quarantine = String(repeating: "x", count: 40_000)
      for record in [large, large] { try file.write(record) }
      let sizes = try [size(fixture, "state"), size(fixture, "state.before")]
      #expect(sizes.allSatisfy { $0 > 40_000 })
      for record in [small, large, small] {
        try file.write(record)
        #expect(fixture.state == record)
      }
      #expect(try [size(fixture, "state"), size(fixture, "state.before")].sorted() == sizes.sorted())
    }

    private func size(_ fixture: DriverFixture, _ name: String) throws -> Int64 {
      var status = stat()
      try #require(stat("\(fixture.home)/\(name)", &status) == 0)
      return Int64(status.st_size)
    }
  }

  @Suite("Whose pieces of an archive are taken") struct ArrivalTests {
    @Test("only the lease's holder adds to an archive, and only where the last piece ended", arguments: 0..<3)
    func pieces(_ disturbance: Int) throws {
      try #require(geteuid() == 0, "needs root, as every change does")
      let folder = try TemporaryFolder()
      let hands = try HostHands(files: HostFiles(prefix: folder.path))
      let service = HostService(hands: hands, version: "1")
      let setup = try trafficSetup(adopt: nil)
      let release = try DriverFixture.release()
      let file = StateFile(folder: hands.files.state(of: setup.name))
      var record = DriverFixture.record(setup, bootID: hands.bootID)
      try file.write(record)
      #expect(service.answer(.stage(DriverFixture.key, release)) == .staged(have: 0))
      service.take([1, 2, 3])
      #expect(try hands.store.have(release.manifest) == 3)
      var expected: (have: Int64, code: HostFailure.Code)
      switch disturbance {
      case 0:
        record.lease?.key = LeaseKey(controller: "controller-2", epoch: 2)
        try file.write(record)
        expected = (3, .staleLease)
      case 1:
        record.lease = nil
        try file.write(record)
        expected = (3, .staleLease)
      default:
        try hands.store.append(release.manifest, [9])
        expected = (4, .staleBelief)
      }
      service.take([4, 5])
      service.take([6])
      #expect(try hands.store.have(release.manifest) == expected.have)
      guard case .failed(let failure) = service.answer(.stageEnd(DriverFixture.key, release)) else {
        Issue.record("the archive was taken")
        return
      }
      #expect(failure.code == expected.code)
    }
  }

  @Suite("The guard of the traffic rules") struct TrafficGuardTests {
    /// What is going on while the rules are flushed, and whether they come back in one look.
    enum Moment: String, CaseIterable, Sendable {
      case quiet, busy, moving, reverting, revertingAndBusy, stuck
    }

    @Test("flushed rules come back although an operation has the agent", arguments: Moment.allCases)
    func flushed(_ moment: Moment) throws {
      let network = try TestNetwork()
      let folder = try TemporaryFolder()
      let hands = try HostHands(files: HostFiles(prefix: folder.path))
      let setup = try trafficSetup(adopt: nil)
      let home = hands.files.state(of: setup.name)
      var record = DriverFixture.record(setup, bootID: hands.bootID)
      record.owner = .green
      if [.reverting, .revertingAndBusy, .stuck].contains(moment) {
        record.flip = FlipRecord(
          flip: "f", epoch: 1, from: .blue, to: .green, release: try DriverFixture.release().digest,
          bootID: hands.bootID, invocation: "", deadline: HostClock.now() + .seconds(60), phase: .reverting)
        record.retry = HostDeadline(hands.now(), plus: .seconds(600))
        if moment != .reverting { record.quarantine = "stuck" }
      }
      try StateFile(folder: home).write(record)
      let isHeld = [.busy, .moving, .revertingAndBusy].contains(moment)
      let own = isHeld ? try AgentLock(folder: home, within: .zero) : nil
      let other = moment == .moving ? try AgentLock(trafficOf: home, within: .zero) : nil
      defer { withExtendedLifetime((own, other)) {} }
      let comesBack = [.quiet, .busy, .stuck].contains(moment)
      try network.inside(.host) {
        try NftTraffic().move(setup, to: .green)
        _ = try HostCommand.run(["nft", "flush", "ruleset"], deadline: .seconds(10))
        let guarding = TrafficGuard(hands: hands)
        #expect(try guarding.round() == (moment == .moving))
        #expect(try NftTraffic().holds(setup, owner: .green) == comesBack)
      }
    }
  }
}
