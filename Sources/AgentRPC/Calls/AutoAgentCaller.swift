import Ports
import RolloutModel
import Synchronization

/// Asks over RPC where a trusted agent answers, over SSH otherwise.
public final class AutoAgentCaller: AgentCaller {
  private let rpc: any AgentCaller
  private let ssh: any AgentCaller
  private let reasons = Mutex<[Host: String]>([:])

  /// A choice between two ways.
  public init(rpc: any AgentCaller, ssh: any AgentCaller) {
    self.rpc = rpc
    self.ssh = ssh
  }

  /// Only where surely nothing was run does the other door ask for it.
  public func run(
    _ command: AgentCommandCall, on host: Host, within limit: Duration,
    tell: @escaping @Sendable (AgentCommandOutput) async -> Void
  ) async throws(DoorError) -> AgentCommandEnd {
    do throws(DoorError) {
      return try await rpc.run(command, on: host, within: limit, tell: tell)
    } catch {
      guard [.unreachable, .refused, .unusable].contains(error.kind) else { throw error }
      reasons.withLock { $0[host] = error.message }
    }
    return try await ssh.run(command, on: host, within: limit, tell: tell)
  }

  /// Where the agent can't be reached, over SSH; what it has of the file already counts for both.
  public func upload(
    _ file: AgentUpload, to host: Host, progressWithin limit: Duration
  ) async throws(DoorError) -> AgentUploadEnd {
    do throws(DoorError) {
      return try await rpc.upload(file, to: host, progressWithin: limit)
    } catch {
      guard [.unreachable, .refused, .unusable].contains(error.kind) else { throw error }
      reasons.withLock { $0[host] = error.message }
    }
    return try await ssh.upload(file, to: host, progressWithin: limit)
  }

  /// The door that was taken, and why.
  public func way(to host: Host) async -> String {
    if let why = reasons.withLock({ $0[host] }) { "SSH: \(why)" } else { await rpc.way(to: host) }
  }
}
