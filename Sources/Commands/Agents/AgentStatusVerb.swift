import Agents
import ArgumentParser
import Certificates
import RolloutModel

struct AgentStatusVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract:
      "Look at agents: through which doors they can be asked, what runs, until when certificates count, what clients get.",
    discussion: "Exit codes: 0 all are well, 1 something is not.")
  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var options: AgentOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await Self.tell(try AgentFleet(options), try await HostFleet.load(inventory), output)
  }

  /// Looks at the agents of hosts, and tells.
  static func tell(_ fleet: AgentFleet, _ hosts: [Host], _ output: OutputOptions) async throws {
    let sights = try await fleet.each(hosts) { site, host in
      await AgentVisit(
        doors: site.eachDoor, definition: site.agent, look: site.look, prober: site.prober, time: site.time
      ).see(host)
    }
    let rows = sights.map(AgentStatusRow.init)
    if output.isJSON {
      try Output.json(rows)
    } else {
      for row in rows { Output.line(row.text(now: SystemTimekeeper().wall)) }
    }
    if rows.contains(where: { !$0.ok }) { throw ExitCode(CommandError.toolError) }
  }
}

/// One host of `agent status --output json`; times in milliseconds since 1970.
struct AgentStatusRow: Encodable {
  struct Certificate: Encodable {
    var serial: String
    var names: [String]
    var not_after: Int64
  }

  var host: String
  var ok: Bool
  /// The door that was believed; null where none answers.
  var way: String?
  var doors: [AgentSight.DoorSight]
  var version: String?
  var live_slot: String?
  var unit_state: String?
  var retained_version: String?
  var certificate: Certificate?
  var health: [AgentSight.HealthSight]
  var problems: [String]
  /// What is well and won't be for long.
  var warnings: [String]

  init(_ sight: AgentSight) {
    host = sight.host
    ok = sight.isHealthy
    way = sight.way
    doors = sight.doors
    let slot = sight.status?.owner?.slot
    version = sight.status?.liveRelease?.manifest.version.text
    live_slot = slot?.rawValue
    unit_state = slot.flatMap { sight.status?.slot($0)?.unit.activeState }
    retained_version = sight.status?.retained?.slot.flatMap {
      sight.status?.slot($0)?.release?.manifest.version.text
    }
    certificate = sight.certificate.map {
      Certificate(serial: $0.serial, names: $0.names, not_after: $0.notAfter)
    }
    health = sight.health
    problems = sight.problems
    warnings = sight.warnings
  }

  /// For people: the host's line, and one for each door.
  func text(now: Int64) -> String {
    var parts: [String] = []
    if let version, let live_slot { parts.append("\(version) is live on \(live_slot)") }
    if !health.isEmpty, health.allSatisfy(\.ok) { parts.append("healthy") }
    if let certificate {
      let left = max(0, certificate.not_after - now)
      parts.append(
        "certificate until \(Words.clock(certificate.not_after)) (\(Words.span(milliseconds: left)))")
    }
    parts += problems + warnings
    let head = "\(escapedLine(host))  \(escapedLine(parts.joined(separator: "; ")))"
    return
      ([head]
      + doors.map { door in
        let sign = door.answers ? door.door == way ? "taken" : "answers" : "closed"
        return "  \(door.door)  \(sign): \(escapedLine(door.text))"
      }).joined(separator: "\n")
  }
}

/// What hosts said, on one line.
func escapedLine(_ text: String) -> String { escapedForTerminal(text, limit: 4000) }
