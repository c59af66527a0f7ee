import MarkedYAML

/// A variable as a file gives it.
struct Variable: Sendable {
  let file: String
  let node: MarkedNode
}

/// Hosts and groups as the inventory's files name them. Of the variables only those that say how to reach a host are
/// kept: a password is never stored.
struct InventoryData {
  struct Group {
    let name: String
    var children: [Int] = []
    var hosts: [Int] = []
    var variables: [String: Variable] = [:]
    /// `ansible_group_priority`; later wins among groups of one depth.
    var priority = 1
    /// The longest way from `all`.
    var depth = 0
  }

  struct HostEntry {
    let name: String
    var groups: [Int] = []
    var variables: [String: Variable] = [:]
  }

  /// That `child` was named a child of `parent`.
  private struct Edge {
    let parent: Int
    let child: Int
    let file: String
    let place: Place
  }

  /// The index of the group that holds every host.
  static let all = 0
  /// The index of the group of hosts without another one.
  static let ungrouped = 1
  /// More hosts than this are an error, not an inventory.
  static let mostHosts = 100_000
  private static let mostGroups = 20_000

  private(set) var groups: [Group] = [Group(name: "all", children: [ungrouped]), Group(name: "ungrouped")]
  private(set) var hosts: [HostEntry] = []
  private var groupIndices = ["all": all, "ungrouped": ungrouped]
  private var hostIndices: [String: Int] = [:]
  private var edges: [Edge] = []

  func group(_ name: String) -> Int? { groupIndices[name] }
  func host(_ name: String) -> Int? { hostIndices[name] }

  /// The group with a name, made where it is new; nil where there are too many.
  mutating func addGroup(_ name: String) -> Int? {
    if let known = groupIndices[name] { return known }
    guard groups.count < Self.mostGroups else { return nil }
    groups.append(Group(name: name))
    groupIndices[name] = groups.count - 1
    return groups.count - 1
  }

  /// Puts a host into a group; nil where there are too many hosts.
  mutating func addHost(_ name: String, to group: Int) -> Int? {
    let host: Int
    if let known = hostIndices[name] {
      host = known
    } else {
      guard hosts.count < Self.mostHosts else { return nil }
      hosts.append(HostEntry(name: name))
      host = hosts.count - 1
      hostIndices[name] = host
    }
    if !hosts[host].groups.contains(group) {
      hosts[host].groups.append(group)
      groups[group].hosts.append(host)
    }
    return host
  }

  /// Makes a group the child of another one.
  mutating func addChild(_ child: Int, to parent: Int, file: String, place: Place) {
    guard !groups[parent].children.contains(child) else { return }
    groups[parent].children.append(child)
    edges.append(Edge(parent: parent, child: child, file: file, place: place))
  }

  /// Keeps a host's variable where it says how to reach the host.
  mutating func setVariable(_ name: String, _ variable: Variable, host: Int) {
    if ConnectionVariables.names.contains(name) { hosts[host].variables[name] = variable }
  }

  /// Keeps a group's variable where it says how to reach a host, and the group's priority.
  mutating func setVariable(_ name: String, _ variable: Variable, group: Int) {
    if name == "ansible_group_priority", let text = variable.node.text, let priority = Int(text) {
      groups[group].priority = priority
    }
    if ConnectionVariables.names.contains(name) { groups[group].variables[name] = variable }
  }

  /// Puts every group below `all`, hosts without a group into `ungrouped`, and measures depths. Call it once, when all
  /// files are read. Errors: a group that is its own descendant.
  mutating func settle() throws(FileProblems) {
    let hasParent = Set(edges.map(\.child))
    for group in groups.indices.dropFirst(2) where !hasParent.contains(group) {
      groups[Self.all].children.append(group)
    }
    for host in hosts.indices {
      let isNamed = hosts[host].groups.contains { $0 != Self.all && $0 != Self.ungrouped }
      if isNamed {
        hosts[host].groups.removeAll { $0 == Self.ungrouped }
      } else if !hosts[host].groups.contains(Self.ungrouped) {
        hosts[host].groups.append(Self.ungrouped)
        groups[Self.ungrouped].hosts.append(host)
      }
    }
    groups[Self.ungrouped].hosts.removeAll { !hosts[$0].groups.contains(Self.ungrouped) }
    try measureDepths()
  }

  private mutating func measureDepths() throws(FileProblems) {
    var waiting = Array(repeating: 0, count: groups.count)
    for group in groups { for child in group.children { waiting[child] += 1 } }
    var ready = groups.indices.filter { waiting[$0] == 0 }
    var done = 0
    while done < ready.count {
      let group = ready[done]
      done += 1
      for child in groups[group].children {
        groups[child].depth = max(groups[child].depth, groups[group].depth + 1)
        waiting[child] -= 1
        if waiting[child] == 0 { ready.append(child) }
      }
    }
    guard done < groups.count else { return }
    let circular = edges.first { waiting[$0.child] > 0 && reaches($0.parent, from: $0.child) }
    guard let edge = circular else { return }
    throw FileProblems(
      file: edge.file, place: edge.place,
      what: "the group \(quoted(groups[edge.child].name)) would be its own descendant",
      instead: "remove it from the children of \(quoted(groups[edge.parent].name))")
  }

  private func reaches(_ target: Int, from start: Int) -> Bool {
    var seen: Set<Int> = [start]
    var queue = [start]
    while let group = queue.popLast() {
      if group == target { return true }
      queue += groups[group].children.filter { seen.insert($0).inserted }
    }
    return false
  }

  /// The hosts of a group and of its descendants, level by level, each once.
  func members(of group: Int) -> [Int] {
    var seenGroups: Set<Int> = [group]
    var seenHosts: Set<Int> = []
    var members: [Int] = []
    var level = [group]
    while !level.isEmpty {
      var next: [Int] = []
      for group in level {
        members += groups[group].hosts.filter { seenHosts.insert($0).inserted }
        next += groups[group].children.filter { seenGroups.insert($0).inserted }
      }
      level = next
    }
    return members
  }

  /// For every host, the groups that it is in, directly or by their children: parents before children, then by
  /// priority and name, as variables are merged.
  func groupsOfHosts() -> [[Int]] {
    var parents = Array(repeating: [Int](), count: groups.count)
    for (index, group) in groups.enumerated() { for child in group.children { parents[child].append(index) } }
    let order = groups.indices.sorted {
      (groups[$0].depth, groups[$0].priority, groups[$0].name)
        < (groups[$1].depth, groups[$1].priority, groups[$1].name)
    }
    var rank = Array(repeating: 0, count: groups.count)
    for (position, group) in order.enumerated() { rank[group] = position }
    return hosts.map { host in
      var seen = Set(host.groups)
      var queue = host.groups
      while let group = queue.popLast() { queue += parents[group].filter { seen.insert($0).inserted } }
      seen.insert(Self.all)
      return seen.sorted { rank[$0] < rank[$1] }
    }
  }
}
