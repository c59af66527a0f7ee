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
  private let definition: AgentDefinition

  /// An agent that carries the order ends with it, and lets us wait for as long as it drains.
  private static let callWithin = Duration.seconds(150)

  /// A removal through these doors.
  public init(doors: any Doors, look: any CertificateLook, definition: AgentDefinition) {
    self.doors = doors
    self.look = look
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
      result.text = try await forget(host, channel)
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

  private func forget(_ host: Host, _ channel: any HostChannel) async throws(Obstacle) -> String {
    do throws(DoorError) {
      switch try await channel.call(.forget(definition.name, force: true), within: Self.callWithin) {
      case .done, .status: return "the agent is gone"
      case .failed(let failure) where failure.code == .notFound: return "no agent was there"
      case .failed(let failure): throw DoorError(.unusable, Obstacle(failure).text)
      default: throw DoorError(.garbled, Obstacle.strange.text)
      }
    } catch {
      guard error.kind == .lost else { throw Obstacle(text: "\(error)") }
      // The agent that carried the order is the one that went.
      guard await look.seesSilence(at: definition.publicPort, over: channel) else {
        throw Obstacle(text: "\(error); the agent still answers: look with `switchyard agent status`")
      }
      return "the agent answers no more; that all of it is gone can only be seen over SSH"
    }
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
