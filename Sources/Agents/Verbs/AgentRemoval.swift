import HostProtocol
import Ports
import RolloutModel

/// Takes Switchyard's own agent off hosts, with all that was installed for it.
public struct AgentRemoval: Sendable {
  /// How it ended on a host.
  public struct Result: Sendable {
    /// The inventory's name.
    public var host: String
    /// Whether the agent is gone.
    public var ok: Bool
    /// What was seen, for people; escaped for a terminal.
    public var text: String
    /// The door that was taken, and why.
    public var way: String?
  }

  /// What stays on a host, for people.
  public static let kept = [
    "the user switchyard-agent and its group", "its uploads and logs in /var/lib/switchyard-agent",
    "tools for playbooks in /opt/switchyard-python",
    "host programs that came over SSH, in ~/.cache/switchyard of that login",
    "what the Debian package brought",
    "the host's journal",
  ]

  private let doors: any Doors
  private let look: any CertificateLook
  private let time: any Timekeeper
  private let definition: AgentDefinition

  /// An agent that carries the order ends with it, and lets us wait for as long as it drains.
  private static let callWithin = Duration.seconds(150)

  /// A removal through these doors.
  public init(
    doors: any Doors, look: any CertificateLook, time: any Timekeeper, definition: AgentDefinition
  ) {
    self.doors = doors
    self.look = look
    self.time = time
    self.definition = definition
  }

  /// Takes it off one host. Done where it is gone already.
  public func carryOut(on host: Host) async -> Result {
    let channel = doors.channel(to: host)
    var result = Result(host: host.name, ok: true, text: "the agent is gone")
    do throws(Obstacle) {
      try await checkFree(channel)
      // The last conversation through the agent carries both.
      try await order(.closeAgentDoor, channel)
      do throws(Obstacle) { result.text = try await forget(channel) } catch {
        throw Obstacle(
          text: "\(error.text); the socket behind the agent is closed already, so go on over SSH: --door ssh")
      }
    } catch {
      result = Result(host: host.name, ok: false, text: error.text)
    }
    result.way = await channel.way()
    await channel.close()
    return result
  }

  /// Nobody takes an agent away behind a rollout's back.
  private func checkFree(_ channel: any HostChannel) async throws(Obstacle) {
    let reply: HostReply
    do throws(DoorError) {
      reply = try await channel.call(.observe(definition.name), within: Self.callWithin)
    } catch {
      throw Obstacle(text: "\(error)")
    }
    switch reply {
    case .status(let status):
      guard let lease = status.lease else { return }
      throw Obstacle(
        text:
          "\(lease.holder) is changing the agent here: \(lease.reason); nothing was changed; end that first")
    case .failed(let failure): throw Obstacle(failure)
    default: throw Obstacle.strange
    }
  }

  private func forget(_ channel: any HostChannel) async throws(Obstacle) -> String {
    do throws(DoorError) {
      switch try await channel.call(.forget(definition.name, force: true), within: Self.callWithin) {
      case .done, .status: return "the agent is gone"
      case .failed(let failure) where failure.code == .notFound: return "no agent was there"
      case .failed(let failure): throw DoorError(.unusable, Obstacle(failure).text)
      default: throw DoorError(.garbled, Obstacle.strange.text)
      }
    } catch {
      guard error.kind == .lost else { throw Obstacle(text: "\(error)") }
      return try await seen(after: error, channel)
    }
  }

  /// What became of an order whose answer was lost.
  private func seen(after lost: DoorError, _ channel: any HostChannel) async throws(Obstacle) -> String {
    await channel.close()
    do throws(DoorError) {
      if case .status(let status) = try await channel.call(.observe(definition.name), within: Self.callWithin),
        status.owner == nil, status.slots.allSatisfy({ $0.release == nil })
      {
        return "the agent is gone"
      }
    } catch  where error.kind == .unreachable {
      // The agent that carried the order is the one that went.
      if await Silence(look: look, time: time).isSeen(at: definition.publicPort, over: channel) {
        return "the agent answers no more; that all of it is gone can only be seen over SSH"
      }
    } catch {
      // Told below, with the first one.
    }
    throw Obstacle(
      text: "\(lost); whether the agent is gone is not known: look with `switchyard agent status`")
  }

  private func order(_ request: HostRequest, _ channel: any HostChannel) async throws(Obstacle) {
    let reply: HostReply
    do throws(DoorError) { reply = try await channel.call(request, within: Self.callWithin) } catch {
      throw Obstacle(text: "\(error)")
    }
    switch reply {
    case .done: return
    case .failed(let failure): throw Obstacle(failure)
    default: throw Obstacle.strange
    }
  }
}
