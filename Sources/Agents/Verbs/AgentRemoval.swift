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
  /// How long the end of a removal is looked for that can be told no more.
  private static let lookFor = Span.seconds(60)
  private static let pause = Span.seconds(1)

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
      result.text = try await remove(over: channel)
    } catch {
      result = Result(host: host.name, ok: false, text: error.text)
    }
    result.way = await channel.way()
    await channel.close()
    return result
  }

  /// The host itself refuses while somebody is at work on its agent, and lets nobody in between.
  private func remove(over channel: any HostChannel) async throws(Obstacle) -> String {
    switch await ask(.remove(definition.name), channel) {
    case .success(.begun): return try await ended(channel)
    case .success(.done): return "no agent was there"
    case .success(.failed(let failure)):
      let text = Obstacle(failure).text
      throw Obstacle(
        text: failure.code == .unsupported
          ? "\(text); over SSH this program's own comes along: --door ssh" : text)
    case .success: throw Obstacle.strange
    case .failure(let error):
      guard error.kind == .lost else { throw Obstacle(text: "\(error)") }
      return try await seen(hasBegun: false, after: error, channel)
    }
  }

  /// The end of a removal that was begun. An agent that carries the conversation takes it with it.
  private func ended(_ channel: any HostChannel) async throws(Obstacle) -> String {
    switch await ask(.removed, channel) {
    case .success(.done): return "the agent is gone"
    case .success(.failed(let failure)) where failure.code != .notFound:
      throw Obstacle(
        text:
          "\(Obstacle(failure).text); the way through the agent is closed already, so go on over SSH: --door ssh"
      )
    // Another conversation than that in which it was begun.
    case .success:
      return try await seen(
        hasBegun: true, after: DoorError(.garbled, "the host did not tell what came of it"), channel)
    case .failure(let error): return try await seen(hasBegun: true, after: error, channel)
    }
  }

  /// What became of a removal whose end was not told. Silence alone has many causes; an agent that falls silent when its host has begun
  /// to remove it has been removed.
  private func seen(
    hasBegun: Bool, after lost: DoorError, _ channel: any HostChannel
  ) async throws(Obstacle) -> String {
    let end = time.now + Self.lookFor
    var isSilent = false
    repeat {
      await channel.close()
      switch await ask(.observe(definition.name), channel) {
      case .success(.status(let status)):
        if status.owner == nil, status.slots.allSatisfy({ $0.release == nil }) { return "the agent is gone" }
      case .failure(let error) where error.kind == .unreachable:
        isSilent = await Silence(look: look, time: time).isSeen(at: definition.publicPort, over: channel)
        if isSilent, hasBegun {
          return
            "the host has begun to remove the agent, which answers no more; that no file is left can only be seen over SSH"
        }
      case .success, .failure: break
      }
      guard hasBegun else { break }
      // Broken off, it has seen what it has seen.
      do { try await time.sleep(Self.pause) } catch { break }
    } while time.now < end
    throw Obstacle(
      text:
        "\(lost); \(isSilent ? "the agent answers no more, but " : "")whether it is removed is not known: "
        + "look with `switchyard agent status --door ssh`, or go on with `switchyard agent uninstall --door ssh`"
    )
  }

  private func ask(
    _ request: HostRequest, _ channel: any HostChannel
  ) async -> Swift.Result<HostReply, DoorError> {
    do throws(DoorError) { return .success(try await channel.call(request, within: Self.callWithin)) } catch {
      return .failure(error)
    }
  }
}
