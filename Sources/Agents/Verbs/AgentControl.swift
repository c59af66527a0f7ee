import HostProtocol
import Ports
import RolloutModel

/// Starts, stops and restarts the agent of a host: the unit of the slot that has its traffic.
public struct AgentControl: Sendable {
  /// How it ended on a host.
  public struct Result: Sendable {
    /// The inventory's name.
    public var host: String
    /// Whether the agent was seen as it was to be.
    public var ok: Bool
    /// What was seen, for people; escaped for a terminal.
    public var text: String
    /// The unit; nil where it is not known which.
    public var unit: UnitStatus?
    /// The door that was taken, and why.
    public var way: String?
  }

  private let doors: any Doors
  private let look: any CertificateLook
  private let time: any Timekeeper
  private let definition: AgentDefinition
  private let within: Span

  /// A job that takes longer is not waited for on the conversation that began it: an agent that ends waits for those it carries.
  private static let first = Span.seconds(1)
  private static let callWithin = Duration.seconds(60)
  private static let pause = Span(milliseconds: 300)

  /// Control through these doors; `within` is the most that the agent may take.
  public init(
    doors: any Doors, look: any CertificateLook, time: any Timekeeper, definition: AgentDefinition,
    within: Span
  ) {
    self.doors = doors
    self.look = look
    self.time = time
    self.definition = definition
    self.within = within
  }

  /// Does it on one host.
  public func carryOut(_ action: ServiceAction, on host: Host) async -> Result {
    let channel = doors.channel(to: host)
    var result: Result
    do throws(Obstacle) {
      result = try await carryOut(action, host, over: channel)
    } catch {
      result = Result(host: host.name, ok: false, text: error.text)
    }
    result.way = await channel.way()
    await channel.close()
    return result
  }

  private func carryOut(
    _ action: ServiceAction, _ host: Host, over channel: any HostChannel
  ) async throws(Obstacle) -> Result {
    let before = try await live(over: channel)
    guard let unit = ServiceName(before.unit) else {
      throw Obstacle(text: "\(escapedForTerminal(before.unit)) is no service that can be controlled")
    }
    let report: ServiceReport
    switch await ask(.service(ServiceOrder(unit: unit, action: action, deadline: Self.first)), channel) {
    case .success(.service(let answer)): report = answer
    case .success(.failed(let failure)): throw Obstacle(failure)
    case .success: throw Obstacle.strange
    case .failure(let error):
      // The agent that carried the order is the one that ends: what came of it is looked for.
      guard error.kind == .lost, action != .start else { throw Obstacle(text: "\(error)") }
      return try await awaited(action, unit, before, host, over: channel)
    }
    guard report.job != "running" else {
      // Let go of, so that an agent that carries it needn't wait for us.
      await channel.close()
      return try await awaited(action, unit, before, host, over: channel)
    }
    return Result(
      host: host.name, ok: report.isAsAsked, text: Self.text(report.unit, report.lastLines), unit: report.unit
    )
  }

  /// Looks until the unit is as it was to be.
  private func awaited(
    _ action: ServiceAction, _ unit: ServiceName, _ before: UnitStatus, _ host: Host,
    over channel: any HostChannel
  ) async throws(Obstacle) -> Result {
    let end = time.now + within
    var last = "nobody looked"
    while time.now < end {
      switch await ask(.service(ServiceOrder(unit: unit, action: .status, deadline: Self.first)), channel) {
      case .success(.service(let report)):
        if Self.isDone(action, report.unit, before) {
          return Result(host: host.name, ok: true, text: Self.text(report.unit, []), unit: report.unit)
        }
        if report.unit.activeState == "failed", action != .stop {
          return Result(
            host: host.name, ok: false, text: Self.text(report.unit, report.lastLines), unit: report.unit)
        }
        last = Self.text(report.unit, [])
      case .success(.failed(let failure)): throw Obstacle(failure)
      case .success: throw Obstacle.strange
      case .failure(let error):
        last = "\(error)"
        if action == .stop, error.kind == .unreachable,
          await Silence(look: look, time: time).isSeen(at: definition.publicPort, over: channel)
        {
          return Result(
            host: host.name, ok: true,
            text: "the agent answers no more; what the host says of it can only be asked over SSH")
        }
      }
      await channel.close()
      // Broken off, it looks once more at once.
      try? await time.sleep(Self.pause)
    }
    throw Obstacle(text: "\(last) after \(within)")
  }

  /// The unit of the slot that has the agent's traffic.
  private func live(over channel: any HostChannel) async throws(Obstacle) -> UnitStatus {
    switch await ask(.observe(definition.name), channel) {
    case .success(.status(let status)):
      guard let slot = status.owner?.slot, let live = status.slot(slot) else {
        throw Obstacle(text: "no agent is installed here; install one with `switchyard agent install`")
      }
      return live.unit
    case .success(.failed(let failure)): throw Obstacle(failure)
    case .success: throw Obstacle.strange
    case .failure(let error): throw Obstacle(text: "\(error)")
    }
  }

  private func ask(
    _ request: HostRequest, _ channel: any HostChannel
  ) async -> Swift.Result<HostReply, DoorError> {
    do throws(DoorError) { return .success(try await channel.call(request, within: Self.callWithin)) } catch {
      return .failure(error)
    }
  }

  private static func isDone(_ action: ServiceAction, _ unit: UnitStatus, _ before: UnitStatus) -> Bool {
    switch action {
    case .status: true
    case .start: unit.isActive
    case .restart: unit.isActive && unit.invocation != before.invocation
    case .stop: unit.activeState == "inactive" || unit.activeState == "failed"
    }
  }

  private static func text(_ unit: UnitStatus, _ lines: [String]) -> String {
    "\(unit.unit) is \(unit.activeState) (\(unit.subState))" + lines.map { "; \($0)" }.joined()
  }
}
