import Certificates
import HostProtocol
import HostSteps
import Ports
import RolloutModel

/// What can be seen of an agent on one host.
public struct AgentSight: Sendable {
  /// What one door shows.
  public struct DoorSight: Hashable, Sendable, Codable {
    /// `rpc` or `ssh`.
    public var door: String
    /// Whether the host program answered through it.
    public var answers: Bool
    /// Who answered, or why nobody did; escaped for a terminal.
    public var text: String
  }

  /// What one question of the agent file came to, asked as clients do.
  public struct HealthSight: Hashable, Sendable, Codable {
    /// `GET /readyz`.
    public var question: String
    /// Whether the answer was as it is to be.
    public var ok: Bool
    /// Why not; nil where it was.
    public var text: String?
  }

  /// The inventory's name.
  public var host: String
  /// The doors that were tried, the one that is preferred first.
  public var doors: [DoorSight] = []
  /// The door that what follows was learned through; nil where none answers.
  public var way: String?
  /// The agent as the host program sees it; nil where it could not be asked.
  public var status: AgentStatus?
  /// The certificate that is shown to clients; nil where none is.
  public var certificate: ShownCertificate?
  /// What clients get.
  public var health: [HealthSight] = []
  /// What is not as it is to be; escaped for a terminal.
  public var problems: [String] = []

  /// What will not be as it is to be before long; escaped for a terminal.
  public var warnings: [String] = []

  /// Whether the agent is there and well, and can be asked.
  public var isHealthy: Bool { problems.isEmpty }
}

/// Looks at agents; changes nothing.
public struct AgentVisit: Sendable {
  /// One way to hosts, by its name.
  public typealias Door = (name: String, doors: any Doors)

  private let doors: [Door]
  private let definition: AgentDefinition
  private let look: any CertificateLook
  private let prober: any Prober
  private let time: any Timekeeper

  private static let callWithin = Duration.seconds(30)
  private static let lookWithin = Duration.seconds(5)
  /// So long ahead a certificate's end is warned of, as `cert status` does where nothing else is said: 30 days in milliseconds.
  private static let warning: Int64 = 30 * 86_400_000

  /// Visits through these doors, of which the first one that answers is believed.
  public init(
    doors: [Door], definition: AgentDefinition, look: any CertificateLook, prober: any Prober,
    time: any Timekeeper
  ) {
    self.doors = doors
    self.definition = definition
    self.look = look
    self.prober = prober
    self.time = time
  }

  /// What can be seen on a host.
  public func see(_ host: Host) async -> AgentSight {
    var sight = AgentSight(host: host.name)
    let name = definition.name
    var channel: (any HostChannel)?
    let answers = await inTurn(doors.map { Asked(name: $0.name, channel: $0.doors.channel(to: host)) }) {
      ($0, await $0.observe(name))
    }
    for (asked, answer) in answers {
      switch answer {
      case .success(let status):
        sight.doors.append(.init(door: asked.name, answers: true, text: await asked.channel.way() ?? "SSH"))
        guard sight.status == nil else { continue }
        sight.status = status
        sight.way = asked.name
        channel = asked.channel
      case .failure(let error):
        sight.doors.append(.init(door: asked.name, answers: false, text: error.text))
      }
    }
    // Where no door is open the agent may still serve clients.
    if let channel = channel ?? answers.last?.0.channel { await look(at: host, over: channel, &sight) }
    for (asked, _) in answers { await asked.channel.close() }
    judge(&sight)
    return sight
  }

  /// What a door gives instead of a status.
  private struct Unanswered: Error {
    var text: String
  }

  private struct Asked: Sendable {
    let name: String
    let channel: any HostChannel

    func observe(_ agent: AgentName) async -> Result<AgentStatus, Unanswered> {
      do throws(DoorError) {
        switch try await channel.call(.observe(agent), within: AgentVisit.callWithin) {
        case .status(let status): return .success(status)
        case .failed(let failure): return .failure(Unanswered(text: failure.message))
        default: return .failure(Unanswered(text: "another answer came than was asked for"))
        }
      } catch {
        return .failure(Unanswered(text: "\(error)"))
      }
    }
  }

  private func look(at host: Host, over channel: any HostChannel, _ sight: inout AgentSight) async {
    let route: ProbeRoute
    do throws(DoorError) {
      route = try await channel.outsideRoute(port: definition.publicPort)
      let der = try await look.servedCertificate(at: route, within: Self.lookWithin)
      sight.certificate = ShownCertificate(der: der)
    } catch {
      sight.problems.append(error.message)
      return
    }
    let slot = sight.status?.owner?.slot
    let version = slot.flatMap { sight.status?.slot($0)?.release?.manifest.version }
    for probe in definition.health {
      let filled = probe.filled(
        version: version, slot: slot ?? .blue, port: definition.publicPort, host: host.name)
      let sample = await prober.sample(
        ProbeRequest(probe: filled, route: route, timeout: .seconds(5), version: version?.text))
      sight.health.append(.init(question: filled.title, ok: sample.isHealthy, text: sample.reason))
    }
  }

  private func judge(_ sight: inout AgentSight) {
    if let status = sight.status {
      if let slot = status.owner?.slot, let live = status.slot(slot) {
        if !live.unit.isActive { sight.problems.append("\(live.unit.unit) is \(live.unit.activeState)") }
      } else if status.owner == nil {
        sight.problems.append("no agent is installed")
      }
      for door in sight.doors where door.door == "rpc" && !door.answers {
        sight.problems.append("its own door is closed: \(door.text)")
      }
      if let quarantine = status.quarantine { sight.problems.append("quarantined: \(quarantine)") }
    } else {
      sight.problems.append("the host can't be asked through any door")
    }
    if let certificate = sight.certificate {
      if certificate.notAfter < time.wall {
        sight.problems.append("its certificate has ended")
      } else if certificate.notAfter - time.wall <= Self.warning {
        sight.warnings.append(
          "the certificate that it serves ends soon: see `switchyard cert renew` and `cert push`")
      }
    }
    sight.problems += sight.health.filter { !$0.ok }.map { "\($0.question): \($0.text ?? "no answer")" }
  }
}
