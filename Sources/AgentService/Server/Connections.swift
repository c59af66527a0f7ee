import Logging
import NIOCore
import Synchronization
import X509

/// The clients' connections that are open. Strangers, of whom no request has been let in yet, have a share of their own: however many
/// come, controllers get in. Where a share is full, somebody who is owed nothing goes.
final class Connections: Sendable {
  private struct Entry {
    let channel: any Channel
    let peer: String
    /// What the client was let in by in the handshake.
    let identity: Identity
    /// The order in which they came, or were answered last.
    var order: Int
    /// What a request of it was let in with by the gatekeeper.
    var certificate: Certificate?
    /// Requests whose answer has not ended.
    var open = 0

    var isKnown: Bool { certificate != nil }
  }

  private struct State {
    var entries: [ObjectIdentifier: Entry] = [:]
    var next = 0
  }

  /// The most of controllers, and of strangers.
  private let known: Int
  private let strangers: Int
  private let log: Logger
  private let state = Mutex(State())

  init(limits: Limits, log: Logger) {
    known = limits.connections
    strangers = limits.strangers
    self.log = log
  }

  var count: Int { state.withLock { $0.entries.count } }

  /// Remembers a connection until it is closed. Strangers who are too many lose the oldest of the address that has most of them: who
  /// floods from one address keeps nobody else out.
  func add(_ channel: any Channel, _ identity: Identity) {
    let name = ObjectIdentifier(channel)
    let peer = channel.remoteAddress?.ipAddress ?? ""
    let victim = state.withLock { state -> Entry? in
      state.entries[name] = Entry(
        channel: channel, peer: peer, identity: identity, order: state.next)
      state.next += 1
      let all = state.entries.filter { !$0.value.isKnown }
      guard all.count > strangers else { return nil }
      let crowds = Dictionary(grouping: all.values, by: \.peer)
      let crowd = crowds.values.max { left, right in
        (left.count, right.first?.order ?? 0) < (right.count, left.first?.order ?? 0)
      }
      return Self.take(crowd?.filter { $0.channel !== channel } ?? [], from: &state)
    }
    channel.closeFuture.whenComplete { [self] _ in state.withLock { $0.entries[name] = nil } }
    close(victim, "a connection of a stranger gives way to newer ones")
  }

  /// The identity that a connection was made with; nil where it is closed.
  func identity(of channel: any Channel) -> Identity? {
    state.withLock { $0.entries[ObjectIdentifier(channel)]?.identity }
  }

  /// A request on a connection was let in: from now on it counts among those of controllers. False where there are too many of
  /// those, and all of them are busy.
  func admit(_ channel: any Channel, with certificate: Certificate) -> Bool {
    let name = ObjectIdentifier(channel)
    let (isIn, victim) = state.withLock { state -> (Bool, Entry?) in
      // One that was closed in the meantime takes nobody's place.
      guard let entry = state.entries[name], !entry.isKnown else { return (true, nil) }
      var victim: Entry?
      let all = state.entries.values.filter(\.isKnown)
      if all.count >= known {
        victim = Self.take(all.filter { $0.open == 0 }, from: &state)
        guard victim != nil else { return (false, nil) }
      }
      state.entries[name]?.certificate = certificate
      return (true, victim)
    }
    close(victim, "an idle connection of a controller gives way to another one's")
    return isIn
  }

  /// A request begins.
  func asks(_ channel: any Channel) {
    state.withLock { $0.entries[ObjectIdentifier(channel)]?.open += 1 }
  }

  /// A request's answer has ended.
  func isAnswered(_ channel: any Channel) {
    state.withLock { state in
      let name = ObjectIdentifier(channel)
      guard let open = state.entries[name]?.open else { return }
      state.entries[name]?.open = max(0, open - 1)
      state.entries[name]?.order = state.next
      state.next += 1
    }
  }

  /// Ends those on which something is under way for a certificate that is refused.
  func sever(for why: String, where isRefused: (Certificate) -> Bool) {
    for entry in state.withLock({ $0.entries.values.filter { $0.open > 0 } }) {
      guard let certificate = entry.certificate, isRefused(certificate) else { continue }
      log.notice(
        "a controller's connection is ended",
        metadata: ["peer": .string(AgentService.peer(entry.channel.remoteAddress)), "reason": .string(why)])
      Severing.sever(entry.channel)
    }
  }

  /// Closes all of them, whatever is under way there.
  func closeAll() {
    let all = state.withLock { $0.entries.values.map(\.channel) }
    for channel in all { channel.close(promise: nil) }
  }

  /// The oldest, which is forgotten at once: it must not be chosen twice while it closes.
  private static func take(_ entries: [Entry], from state: inout State) -> Entry? {
    guard let oldest = entries.min(by: { $0.order < $1.order }) else { return nil }
    state.entries[ObjectIdentifier(oldest.channel)] = nil
    return oldest
  }

  private func close(_ entry: Entry?, _ why: Logger.Message) {
    guard let entry else { return }
    log.debug(why, metadata: ["peer": .string(AgentService.peer(entry.channel.remoteAddress))])
    Severing.sever(entry.channel)
  }
}
