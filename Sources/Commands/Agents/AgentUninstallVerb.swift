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

  func run() async throws {
    let fleet = try AgentFleet(options)
    let hosts = try await HostFleet.load(inventory)
    try confirm(hosts)
    let results = try await fleet.each(hosts) { site, host in
      await AgentRemoval(
        doors: site.doors, look: site.look, time: SystemTimekeeper(), definition: site.agent
      ).carryOut(on: host)
    }
    let (state, gone) = (options.authority.state, results.filter(\.ok).map(\.host))
    try await offThePool {
      let registry = AgentRegistry(directory: try state.checked(), time: SystemTimekeeper())
      do { _ = try registry.remove(gone) } catch let error as RegistryError { throw Registry.failure(error) }
    }
    try AgentReport.tell(
      results.map { AgentRow(host: $0.host, ok: $0.ok, door: $0.way ?? "SSH", text: $0.text) }, output)
  }

  /// Nobody loses agents by a slip.
  private func confirm(_ hosts: [Host]) throws {
    guard !yes else { return }
    guard Output.isTerminal, isatty(STDIN_FILENO) == 1, !output.isJSON else {
      throw CommandError.invalid("uninstall needs --yes where nobody can be asked; nothing was changed")
    }
    for host in hosts { Output.line(host.name) }
    Output.write("Take the agent off \(Words.count(hosts.count, "host"))? [y/N] ", to: STDOUT_FILENO)
    guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
      throw CommandError.invalid("not uninstalled; nothing was changed")
    }
  }
}
