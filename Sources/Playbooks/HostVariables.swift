import FoundationEssentials
import Ports
import RolloutModel

/// The inventory as Ansible's own program reads it, narrowed to some of its hosts: their groups, the groups' variables and their
/// own, with the connection that a door needs. So both doors give a playbook the same variables.
struct HostVariables: Sendable {
  private typealias Values = [String: PlaybookValue]

  /// A group as `ansible-inventory --list --export` shows it.
  private struct Group: Decodable, Sendable {
    var hosts: [String]?
    var children: [String]?
    var vars: [String: PlaybookValue]?
  }

  private struct Meta: Decodable, Sendable {
    var hostvars: [String: [String: PlaybookValue]]?
  }

  private let groups: [String: Group]
  private let own: [String: [String: PlaybookValue]]

  private static let limit = 64 << 20
  private static let within = Duration.seconds(120)

  /// Asks Ansible. Errors: it can't read the inventory, or does not know one of the job's hosts.
  static func read(_ job: PlaybookJob, _ tools: AnsibleTools, _ surroundings: Surroundings)
    async throws(PlaybookError)
    -> HostVariables
  {
    guard let inventory = job.inventory else { return HostVariables(connectionsOf: job.hosts) }
    var arguments = ["-i", inventory, "--list", "--export"]
    if let vault = job.vaultPassword { arguments += ["--vault-password-file", vault] }
    let tool = Tool(
      program: tools.inventory, arguments: arguments,
      environment: surroundings.variables.merging(
        ["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True"], uniquingKeysWith: { $1 }),
      folder: surroundings.callerFolder)
    let (end, bytes) = try await tool.output(upTo: limit, within: within)
    guard end.isGood else {
      throw PlaybookError(
        .invalid,
        "ansible-inventory can't read \(escapedForTerminal(inventory)): \(lastWords(end.complaints))",
        hint: "correct the inventory")
    }
    let variables: HostVariables
    do { variables = try HostVariables(json: bytes) } catch {
      throw PlaybookError(
        .tool, "what ansible-inventory says can't be read: \(escapedForTerminal("\(error)"))",
        hint: "run \(escapedForTerminal(tools.inventory)) by hand to see it")
    }
    if let unknown = job.hosts.first(where: { !variables.knows($0.name) }) {
      throw PlaybookError(
        .invalid,
        "Ansible finds no host \(escapedForTerminal(unknown.name)) in \(escapedForTerminal(inventory))",
        hint: "compare with ansible-inventory --list")
    }
    return variables
  }

  /// What is known of hosts without their inventory: how they are reached, and their groups.
  init(connectionsOf hosts: [Host]) {
    var groups: [String: Group] = [:]
    for host in hosts {
      for name in host.groups { groups[name, default: Group(hosts: [])].hosts?.append(host.name) }
    }
    self.groups = groups
    own = Dictionary(
      hosts.map { ($0.name, SSHVariables.of($0)) }, uniquingKeysWith: { first, _ in first })
  }

  init(json: [UInt8]) throws {
    let data = Data(json)
    own =
      try JSONDecoder().decode([String: IgnoredOr<Meta>].self, from: data)["_meta"]?.value?.hostvars ?? [:]
    groups = try JSONDecoder().decode([String: IgnoredOr<Group>].self, from: data)
      .filter { $0.key != "_meta" }.compactMapValues(\.value)
  }

  /// Whether a group's variables are among these.
  func knowsVariables(ofGroup name: String) -> Bool { name != "ungrouped" && groups[name] != nil }

  /// Whether a host's are.
  func knows(_ host: String) -> Bool {
    own[host] != nil || groups.values.contains { $0.hosts?.contains(host) ?? false }
  }

  /// The groups that hosts are in, also by way of others.
  private func groups(over hosts: Set<String>) -> Set<String> {
    var found = Set(groups.filter { !hosts.isDisjoint(with: $0.value.hosts ?? []) }.keys)
    while true {
      let outer = groups.filter {
        !found.contains($0.key) && !found.isDisjoint(with: $0.value.children ?? [])
      }
      if outer.isEmpty { return found }
      found.formUnion(outer.keys)
    }
  }

  /// An inventory of these hosts alone, for Ansible, with their own variables and those of their groups; `connection` adds to a host's variables, and replaces some.
  func inventory(of hosts: [Host], connection: (Host) -> [String: PlaybookValue]) -> String {
    let names = Set(hosts.map(\.name))
    let theirs = groups(over: names)
    let all = hosts.map { host in
      (
        host.name,
        PlaybookValue.map((own[host.name] ?? [:]).merging(connection(host), uniquingKeysWith: { $1 }))
      )
    }
    var children: [String: PlaybookValue] = [:]
    for (name, group) in groups where name != "all" && name != "ungrouped" {
      var content: [String: PlaybookValue] = [:]
      let members = (group.hosts ?? []).filter(names.contains)
      if !members.isEmpty {
        content["hosts"] = .map(Dictionary(members.map { ($0, .map([:])) }, uniquingKeysWith: { $1 }))
      }
      let inner = (group.children ?? []).filter { groups[$0] != nil && $0 != "ungrouped" }
      if !inner.isEmpty {
        content["children"] = .map(Dictionary(inner.map { ($0, .map([:])) }, uniquingKeysWith: { $1 }))
      }
      // What is for other hosts, secrets perhaps, is none of theirs.
      if theirs.contains(name), let values = group.vars, !values.isEmpty { content["vars"] = .map(values) }
      children[name] = .map(content)
    }
    var root: [String: PlaybookValue] = [
      "hosts": .map(Dictionary(all, uniquingKeysWith: { $1 })), "children": .map(children),
    ]
    if let values = groups["all"]?.vars, !values.isEmpty { root["vars"] = .map(values) }
    return PlaybookValue.map(["all": .map(root)]).yaml + "\n"
  }
}

/// A value that is passed over where it is something else.
private struct IgnoredOr<Value: Decodable>: Decodable {
  let value: Value?

  init(from decoder: any Decoder) throws {
    // Whatever else stands there is not looked for.
    value = try? decoder.singleValueContainer().decode(Value.self)
  }
}

/// The last lines that a program of Ansible's complained, without its colours and warnings, in one line.
func lastWords(_ text: String) -> String {
  let lines = plainText(text).split(separator: "\n").map { $0.trimmingPrefix(while: { $0 == " " }) }
    .filter { !$0.isEmpty && !$0.hasPrefix("[WARNING]") && !$0.hasPrefix("[DEPRECATION") }
    // The place in the file is told; its text stands there.
    .filter { $0.prefixMatch(of: /\d+ |\^ column/) == nil }
  // A fault is told first, where it stands after it.
  let first =
    lines.firstIndex { $0.hasPrefix("[ERROR]") || $0.hasPrefix("ERROR!") } ?? max(0, lines.count - 3)
  return escapedForTerminal(lines[first...].prefix(3).joined(separator: " "), limit: 1000)
}

/// A text without a terminal's colours.
func plainText(_ text: some StringProtocol) -> String {
  String(text).replacing(/\u{1b}\[[0-9;]*[A-Za-z]/, with: "").replacing("\r", with: "")
}
