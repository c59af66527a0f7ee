import HostProtocol
import RolloutModel

/// A door to one host: a conversation with its host program, and ways to probe it. One connection while work is going
/// on; closed when idle and reopened by the next call.
public protocol HostChannel: Sendable {
  /// Sends a request and awaits its reply. Calls of one channel are answered in their order.
  func call(_ request: HostRequest, within: Duration) async throws(DoorError) -> HostReply

  /// Announces the release's archive with `stage`, sends what the host lacks of the file at `path`, and ends with
  /// `stageEnd`, whose reply it returns. The deadline is for progress: it starts anew with every piece that goes out.
  func stage(
    _ release: IdentifiedRelease, from path: String, key: LeaseKey, progressWithin: Duration
  ) async throws(DoorError) -> HostReply

  /// A way for the prober to a port as seen from the host itself.
  func insideRoute(host: String, port: Int) async throws(DoorError) -> ProbeRoute

  /// A way for the prober to a port of the host as clients see it: from the controller's machine, or from the last
  /// jump host on the way.
  func outsideRoute(port: Int) async throws(DoorError) -> ProbeRoute

  /// Ends the connection in an orderly way; the next call opens it anew.
  func close() async

  /// The door that was taken, and why, for people; nil where there is but one.
  func way() async -> String?

  /// Where lines of a run's log about this conversation come from.
  func logSource() async -> RunLogSource
}

extension HostChannel {
  /// There is but one door.
  public func way() async -> String? { nil }

  /// It is SSH unless a door says otherwise.
  public func logSource() async -> RunLogSource { .ssh }
}

/// Hands out the channel of each host.
public protocol Doors: Sendable {
  /// The channel to a host; opens nothing yet.
  func channel(to host: Host) -> any HostChannel
}

/// Why a host could not be asked. Whether what was asked has happened is unknown unless `kind` says otherwise.
public struct DoorError: Error, Hashable, Sendable, Codable, CustomStringConvertible {
  /// What kind of failure, for decisions.
  public enum Kind: String, Hashable, Sendable, Codable {
    /// No connection came about: nothing was asked.
    case unreachable
    /// The host's identity or ours was not accepted: nothing was asked.
    case refused
    /// The host program can't run there, or may not: nothing was asked.
    case unusable
    /// The connection was lost, or no reply came in time: unknown whether what was asked has happened.
    case lost
    /// What came is no reply to what was asked: unknown whether it has happened.
    case garbled
    /// A file or another thing on the controller's own machine failed: nothing more was asked.
    case local
  }

  /// What kind.
  public var kind: Kind
  /// What failed, where and why, escaped for a terminal.
  public var message: String
  /// What to do; empty where nothing can be said.
  public var hint: String

  /// An error from its parts.
  public init(_ kind: Kind, _ message: String, hint: String = "") {
    self.kind = kind
    self.message = message
    self.hint = hint
  }

  /// Message and hint in one line.
  public var description: String { hint.isEmpty ? message : "\(message); \(hint)" }
}
