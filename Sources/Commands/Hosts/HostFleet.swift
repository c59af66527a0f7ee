import Agents
import ArgumentParser
import HostProtocol
import Inventory
import MarkedYAML
import PolicyFiles
import Ports
import RolloutModel

/// What the `hosts` verbs share: reading the files, asking every host one thing, telling the answers.
enum HostFleet {
  /// One host's answer.
  struct Answer: Sendable {
    var host: String
    var result: Result<HostReply, DoorError>
  }

  static func load(_ options: InventoryOptions) async throws -> [Host] {
    try await load(path: options.inventory, limit: options.limit)
  }

  static func load(path: String, limit: String?) async throws -> [Host] {
    do { return try await Inventory.load(path: path, limit: limit) } catch {
      throw CommandError.invalid("\(error)")
    }
  }

  static func agent(_ path: String) throws -> AgentDefinition {
    do throws(FileProblems) { return try AgentFile.load(path: path) } catch {
      throw CommandError.invalid("\(error)")
    }
  }

  /// Asks each host one thing, at most 100 at a time; answers in the inventory's order.
  static func ask(
    _ hosts: [Host], through choice: RPCDoorChoice?, _ request: @escaping @Sendable (Host) -> HostRequest
  ) async throws -> [Answer] {
    try await Workshop.use(through: choice) { workshop in await ask(hosts, through: workshop.doors, request) }
  }

  private static func ask(
    _ hosts: [Host], through doors: any Doors, _ request: @escaping @Sendable (Host) -> HostRequest
  ) async -> [Answer] {
    await inTurn(hosts) { host in
      let channel = doors.channel(to: host)
      let result: Result<HostReply, DoorError>
      do throws(DoorError) {
        result = .success(try await channel.call(request(host), within: .seconds(150)))
      } catch {
        result = .failure(error)
      }
      await channel.close()
      return Answer(host: host.name, result: result)
    }
  }

  /// Prints the answers; ends with `failure` where one host did not do it.
  static func report(_ answers: [Answer], _ output: OutputOptions, failure: Int32 = CommandError.toolError)
    throws
  {
    let rows = answers.map(row)
    if output.isJSON {
      try Output.json(rows)
    } else {
      for row in rows { Output.line(row.line) }
    }
    if rows.contains(where: { !$0.ok }) { throw ExitCode(failure) }
  }

  /// One host of `hosts … --output json`.
  struct Row: Encodable {
    var host: String
    var ok: Bool
    var text: String
    var status: AgentStatus?
    var facts: HostFacts?

    /// The host on one line, whatever it says.
    var line: String { "\(escapedForTerminal(host))  \(escapedForTerminal(text, limit: 4000))" }
  }

  static func row(_ answer: Answer) -> Row {
    switch answer.result {
    case .failure(let error): Row(host: answer.host, ok: false, text: "\(error)")
    case .success(.failed(let failure)):
      Row(
        host: answer.host, ok: false,
        text: failure.hint.isEmpty ? failure.message : "\(failure.message); \(failure.hint)")
    case .success(.status(let status)):
      Row(host: answer.host, ok: true, text: describe(status), status: status)
    case .success(.facts(let facts)):
      Row(
        host: answer.host, ok: true, text: "\(facts.system), \(facts.architecture): \(describe(facts.agent))",
        facts: facts)
    case .success(.hello(let hello)):
      Row(
        host: answer.host, ok: true,
        text: "\(hello.architecture), switchyard-host \(hello.program)"
          + (hello.privileged ? "" : ", may not change the host"))
    case .success: Row(host: answer.host, ok: true, text: "done")
    }
  }

  private static func describe(_ status: AgentStatus) -> String {
    var parts: [String] = []
    if let owner = status.owner {
      parts.append(
        "\(status.liveRelease?.manifest.version.text ?? "an agent installed by other means") is live on \(owner.rawValue)"
      )
    } else {
      parts.append("nothing of ours is live")
    }
    if let retained = status.retained {
      let version = retained.slot.flatMap { status.slot($0)?.release?.manifest.version.text }
      parts.append("\(version ?? retained.rawValue) is retained")
    }
    if let disturbance = status.disturbance { parts.append(disturbance) }
    if let lease = status.lease { parts.append("\(lease.holder) has the lease: \(lease.reason)") }
    if let quarantine = status.quarantine { parts.append("quarantined: \(quarantine)") }
    return parts.joined(separator: "; ")
  }
}
