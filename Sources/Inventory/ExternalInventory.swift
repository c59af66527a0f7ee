import FoundationEssentials
import Glibc
import MarkedYAML

/// Inventories that only Ansible can read: executables and plug-ins, through `ansible-inventory --list`.
enum ExternalInventory {
  /// What the program printed. Errors: it is not installed, fails, takes longer than two minutes, or prints too much.
  static func list(
    path: String, environment: [String: String] = ProcessInfo.processInfo.environment
  ) async throws(FileProblems) -> [UInt8] {
    // A path that begins with - would be an option.
    let argument = path.hasPrefix("-") ? "./" + path : path
    let program = ChildProgram(
      name: program(environment), arguments: ["--list", "-i", argument],
      // Half of an inventory must not pass for the whole.
      environment: ["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=True"], deadlineMilliseconds: 120_000,
      outputLimit: 64 << 20)
    switch await program.run() {
    case .ended(let code, let output, let errors):
      guard code != 0 else { return output }
      let lines = String(decoding: errors, as: UTF8.self).split(whereSeparator: \.isNewline)
      throw FileProblems(
        file: path,
        what: "ansible-inventory failed with \(code): \(printable(lines.suffix(5).joined(separator: " / ")))",
        instead: "correct what ansible-inventory --list -i \(printable(argument)) reports")
    case .notStarted(let reason):
      throw FileProblems(
        file: path,
        what:
          "only the program ansible-inventory can read this inventory, and it can't be started: \(reason)",
        instead:
          "install ansible-core so that ansible-inventory is on the PATH, or name the ansible-runner that it lies beside in SWITCHYARD_ANSIBLE_RUNNER (make setup: .cache/python-tools/bin/ansible-runner), or name a YAML or INI inventory"
      )
    case .tooLong:
      throw FileProblems(
        file: path, what: "ansible-inventory did not end within 2 minutes",
        instead: "see why with ansible-inventory --list")
    case .tooMuch:
      throw FileProblems(
        file: path, what: "ansible-inventory printed more than 64 MiB", instead: "split the inventory")
    }
  }

  /// The program beside the `ansible-runner` that SWITCHYARD_ANSIBLE_RUNNER names, of the environment that playbooks are run
  /// with; where there is none, the one on the PATH.
  private static func program(_ environment: [String: String]) -> String {
    let name = "ansible-inventory"
    guard let runner = environment["SWITCHYARD_ANSIBLE_RUNNER"], runner.contains("/"),
      let resolved = realpath(runner, nil)
    else { return name }
    defer { free(resolved) }
    let path = String(cString: resolved)
    let beside = path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex) + "/" + name
    return access(beside, X_OK) == 0 ? beside : name
  }

  /// Adds what the program printed to the data. Errors: no JSON, too many hosts, names that can't be used.
  static func read(_ listing: [UInt8], file: String, into data: inout InventoryData) throws(FileProblems) {
    let decoded: Listing
    do {
      decoded = try JSONDecoder().decode(Listing.self, from: Data(listing))
    } catch {
      throw FileProblems(
        file: file, what: "ansible-inventory printed no list of groups",
        instead: "see what ansible-inventory --list prints")
    }
    var queue = ["all"]
    var seen: Set<String> = ["all"]
    while let name = queue.first {
      queue.removeFirst()
      guard let entry = decoded.groups[name] else { continue }
      guard let group = data.addGroup(name) else { throw tooLarge(file) }
      for child in entry.children ?? [] {
        guard let index = data.addGroup(child) else { throw tooLarge(file) }
        data.addChild(index, to: group, file: file, place: .start)
        if seen.insert(child).inserted { queue.append(child) }
      }
      for name in entry.hosts ?? [] {
        guard HostRange.isHostName(name) else {
          throw FileProblems(
            file: file, what: "\(quoted(name)) is no host name",
            instead: "use letters, digits, \".\", \"_\" and \"-\"")
        }
        guard let host = data.addHost(name, to: group) else { throw tooLarge(file) }
        for (variable, value) in decoded.variables[name] ?? [:] {
          let node = MarkedNode(place: .start, content: value.content, tag: value.tag)
          data.setVariable(variable, Variable(file: file, node: node), host: host)
        }
      }
    }
  }

  private static func tooLarge(_ file: String) -> FileProblems {
    FileProblems(file: file, what: "the inventory has too many hosts or groups", instead: "split it")
  }
}

/// What `ansible-inventory --list` prints.
private struct Listing: Decodable {
  struct Group: Decodable {
    var hosts: [String]?
    var children: [String]?
    var hostvars: [String: [String: ListedValue]]?
  }

  let groups: [String: Group]
  let variables: [String: [String: ListedValue]]

  init(from decoder: any Decoder) throws {
    groups = try decoder.singleValueContainer().decode([String: Group].self)
    variables = groups["_meta"]?.hostvars ?? [:]
  }
}

/// A variable's value as JSON has it.
private struct ListedValue: Decodable {
  let content: MarkedNode.Content
  let tag: String?

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    var tag: String?
    if container.decodeNil() {
      content = .scalar("", isPlain: true)
      // Each kind is tried in turn: a value of another kind is no error.
    } else if let text = try? container.decode(String.self) {
      content = .scalar(text, isPlain: false)
    } else if let number = try? container.decode(Int.self) {
      content = .scalar("\(number)", isPlain: true)
    } else if let marked = try? container.decode([String: String].self), let text = marked["__ansible_unsafe"]
    {
      // Text that Ansible marks is a mapping of one key; other mappings are no error.
      content = .scalar(text, isPlain: false)
    } else if let marked = try? container.decode([String: String].self), marked["__ansible_vault"] != nil {
      content = .scalar("encrypted", isPlain: false)
      tag = "!vault"
    } else {
      content = .mapping([])
    }
    self.tag = tag
  }
}
