import Crypto
import FoundationEssentials
import Glibc
import HostMachine
import HostProtocol
import RolloutModel

/// Does what a conversation asks: decodes nothing, speaks to nobody.
package final class HostService {
  private let hands: HostHands
  private let version: String
  /// The archive that data frames belong to.
  private var arriving: Arrival?
  /// What came of a removal.
  private var removal: HostReply?

  private struct Arrival {
    var release: IdentifiedRelease
    /// Under whose lease it was announced.
    var key: LeaseKey
    /// How much of it was here before the next piece.
    var have: Int64
    /// What went wrong with the pieces so far.
    var failure: HostFailure?
  }

  /// A service on a host.
  package init(hands: HostHands, version: String) {
    self.hands = hands
    self.version = version
  }

  /// Answers one request. `begun` is called, at most once, where it goes on with what may end the way to whoever asked.
  package func answer(_ request: HostRequest, begun: @escaping () -> Void = {}) -> HostReply {
    hands.announce = begun
    defer { hands.announce = {} }
    let reply: HostReply
    do throws(HostFailure) { reply = try handle(request) } catch { reply = .failed(error) }
    if case .remove = request { removal = reply }
    return reply
  }

  /// Takes a piece of the announced archive. What goes wrong is told when its end is announced.
  package func take(_ bytes: [UInt8]) {
    guard var arrival = arriving, arrival.failure == nil else { return }
    do throws(HostFailure) {
      try add(bytes, to: arrival)
      arrival.have += Int64(bytes.count)
    } catch {
      arrival.failure = error
    }
    arriving = arrival
  }

  /// Ends with what systemd need not keep for a conversation that is quiet.
  package func rest() { hands.letGoOfBus() }

  /// Whoever lost the lease since the announcement, or comes between somebody else's pieces, adds nothing.
  private func add(_ bytes: [UInt8], to arrival: Arrival) throws(HostFailure) {
    let agent = arrival.release.manifest.agent
    let folder = hands.files.state(of: agent)
    let lock = try AgentLock(folder: folder, within: .seconds(20))
    defer { withExtendedLifetime(lock) {} }
    let record = try AgentDriver(agent: agent, folder: folder, hands: hands).load(.strict)
    guard record?.lease?.key == arrival.key else {
      throw HostFailure(
        .staleLease, "epoch \(arrival.key.epoch) of agent \(agent) ended while its archive was arriving",
        hint: "another controller has taken over this host")
    }
    try hands.store.append(arrival.release.manifest, bytes, at: arrival.have)
  }

  private func handle(_ request: HostRequest) throws(HostFailure) -> HostReply {
    switch request {
    case .hello(let wanted): return try hello(wanted)
    case .facts(let setup, let user): return .facts(try HostSurvey(hands: hands).facts(setup, user: user))
    case .check(let dependencies, let deadline):
      return .checked(
        DependencyChecks(deadline: deadline, releaseDisk: hands.store.diskPath).run(dependencies))
    case .observe(let agent): return .status(try HostSurvey(hands: hands).status(agent))
    case .service(let order) where order.action == .status:
      return .service(try ServiceControl(hands: hands).carryOut(order))
    case .log(let agent, let side, let lines):
      return .log(try HostSurvey(hands: hands).log(agent, side, lines: lines))
    case .removed:
      guard let removal else {
        throw HostFailure(
          .notFound, "no removal was begun in this conversation", hint: "look at the host again")
      }
      return removal
    default:
      guard geteuid() == 0 else {
        throw HostFailure(
          .unsupported, "the host program runs without root's rights and can't change this host",
          hint: "connect as root, or let the user run it with sudo")
      }
      return try change(request)
    }
  }

  private func change(_ request: HostRequest) throws(HostFailure) -> HostReply {
    switch request {
    case .service(let order): return .service(try ServiceControl(hands: hands).carryOut(order))
    case .acquire(let lease): return try carryOut(lease.setup.name, .acquire(lease))
    case .renew(let agent, let key, let ttl): return try carryOut(agent, .renew(key, ttl: ttl))
    case .release(let agent, let key): return try carryOut(agent, .release(key))
    case .stage(let key, let release): return try stage(key, release)
    case .stageEnd(let key, let release): return try stageEnd(key, release)
    case .start(let key, let slot, let release, let deadline):
      try HostService.checkIdentity(release)
      return try carryOut(release.manifest.agent, .start(key, slot, release, deadline: deadline))
    case .discard(let agent, let key, let slot, let release, let reason, let refuse):
      return try carryOut(agent, .discard(key, slot, release: release, reason: reason, refuse: refuse))
    case .flip(let key, let order): return try carryOut(order.agent, .flip(key, order))
    case .confirm(let agent, let key, let flip): return try carryOut(agent, .confirm(key, flip: flip))
    case .promote(let agent, let key, let flip): return try carryOut(agent, .promote(key, flip: flip))
    case .revert(let agent, let key, let flip, let reason, let refuse):
      return try carryOut(agent, .revert(key, flip: flip, reason: reason, refuse: refuse), .rescue)
    case .retain(let agent, let key, let retention): return try carryOut(agent, .retain(key, retention))
    case .rollback(let agent, let reason, let takeOver):
      return try carryOut(agent, .rollback(reason: reason, takeOver: takeOver), .rescue)
    case .clear(let agent, _): return try carryOut(agent, .clear)
    case .forget(let agent, let force): return try carryOut(agent, .forget(force: force), .rescue)
    case .remove(let agent): return try carryOut(agent, .remove, .rescue)
    case .credentials(let order):
      return .credentials(try CredentialStore(folder: hands.files.credentials).carryOut(order))
    case .hello, .facts, .check, .observe, .log, .removed:
      throw HostFailure(.system, "a request that changes nothing was taken for one that does")
    }
  }

  private func hello(_ wanted: Int) throws(HostFailure) -> HostReply {
    guard wanted == hostProtocolVersion else {
      throw HostFailure(
        .unsupported,
        "the controller speaks version \(wanted) of the conversation, this host program \(hostProtocolVersion)",
        hint: "use a host program that came with the controller")
    }
    return .hello(
      HostHello(
        program: version, version: hostProtocolVersion, bootID: hands.bootID,
        architecture: SystemFacts.kernel().architecture, privileged: geteuid() == 0))
  }

  private func stage(_ key: LeaseKey, _ release: IdentifiedRelease) throws(HostFailure) -> HostReply {
    // Whatever comes of this, pieces that follow are none of the archive before.
    arriving = nil
    try HostService.checkIdentity(release)
    let reply = try carryOut(release.manifest.agent, .stage(key, release))
    if case .staged(let have) = reply { arriving = Arrival(release: release, key: key, have: have) }
    return reply
  }

  private func stageEnd(_ key: LeaseKey, _ release: IdentifiedRelease) throws(HostFailure) -> HostReply {
    try HostService.checkIdentity(release)
    let failure = arriving?.release == release ? arriving?.failure : nil
    arriving = nil
    if let failure { throw failure }
    return try carryOut(release.manifest.agent, .stageEnd(key, release))
  }

  private func carryOut(
    _ agent: AgentName, _ order: AgentOrder, _ care: AgentDriver.Care = .strict
  ) throws(HostFailure) -> HostReply {
    let driver = AgentDriver(agent: agent, folder: hands.files.state(of: agent), hands: hands)
    switch try driver.carryOut(order, care: care) {
    case .status: return .status(try HostSurvey(hands: hands).status(agent, care))
    case .lease(let lease): return .lease(lease)
    case .staged(let have): return .staged(have: have)
    case .done: return .done
    case .failed(let failure): throw failure
    }
  }

  /// A release is what its digest says: nothing is written for one that isn't.
  private static func checkIdentity(_ release: IdentifiedRelease) throws(HostFailure) {
    try ReleaseRules.check(release.manifest)
    let json: [UInt8]
    do { json = try canonicalJSON(release.manifest) } catch {
      throw HostFailure(
        .invalid, "the release's manifest can't be encoded: \(escapedForTerminal("\(error)"))")
    }
    guard Digest(bytes: Array(SHA256.hash(data: Data(json)))) == release.digest else {
      throw HostFailure(
        .digestMismatch,
        "the release's manifest does not have the digest \(release.digest.short) that came with it")
    }
  }
}
