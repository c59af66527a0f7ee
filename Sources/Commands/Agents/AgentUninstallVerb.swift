import Agents
import ArgumentParser
import Glibc
import RolloutModel

struct AgentUninstallVerb: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "uninstall",
    abstract:
      "Take agents off hosts, with their releases, configuration and credentials, and out of the registry.",
    discussion: "What stays: \(AgentRemoval.kept.joined(separator: ", ")).")
  @OptionGroup var inventory: InventoryOptions
  @OptionGroup var options: AgentOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "Don't ask whether to go on.")
  var yes = false

  @Flag(help: "The hosts are no more: ask none of them, only take them out of the registry.")
  var gone = false

  func run() async throws {
    let fleet = try AgentFleet(options)
    let hosts = try await HostFleet.load(inventory)
    try confirm(hosts)
    if gone {
      let removed = Set(try await forget(hosts.map(\.name)))
      let rows = hosts.map { host in
        AgentRow(
          host: host.name, ok: true,
          text: removed.contains(host.name)
            ? "out of the registry; `switchyard cert revoke` takes its certificate back"
            : "was not registered")
      }
      return try AgentReport.tell(rows, output)
    }
    let results = try await fleet.each(hosts) { site, host in
      await AgentRemoval(
        doors: site.doors, look: site.look, time: SystemTimekeeper(), definition: site.agent
      ).carryOut(on: host)
    }
    let forgotten: Result<[String], any Error>
    do { forgotten = .success(try await forget(results.filter(\.ok).map(\.host))) } catch {
      forgotten = .failure(error)
    }
    // What came of the agents is told all the same.
    do {
      try AgentReport.tell(
        results.map { AgentRow(host: $0.host, ok: $0.ok, door: $0.way ?? "SSH", text: $0.text) }, output)
    } catch {
      if case .failure(let registry) = forgotten { Output.error("\(registry)") }
      throw error
    }
    _ = try forgotten.get()
  }

  /// Takes hosts out of the registry; the value is those that were in it.
  private func forget(_ hosts: [String]) async throws -> [String] {
    let state = options.authority.state
    return try await offThePool {
      let registry = AgentRegistry(directory: try state.checked(), time: SystemTimekeeper())
      do { return try registry.remove(hosts).map(\.host) } catch let error as RegistryError {
        throw Registry.failure(error)
      }
    }
  }

  /// Nobody loses agents by a slip.
  private func confirm(_ hosts: [Host]) throws {
    guard !yes else { return }
    guard Output.isTerminal, isatty(STDIN_FILENO) == 1, !output.isJSON else {
      throw CommandError.invalid("uninstall needs --yes where nobody can be asked; nothing was changed")
    }
    for host in hosts { Output.line(host.name) }
    let (what, whom) = (gone ? "Forget the agent of" : "Take the agent off", Words.count(hosts.count, "host"))
    Output.write("\(what) \(whom)? [y/N] ", to: STDOUT_FILENO)
    guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
      throw CommandError.invalid("not uninstalled; nothing was changed")
    }
  }
}
