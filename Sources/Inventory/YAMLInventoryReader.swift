import MarkedYAML

/// Reads an inventory in Ansible's YAML form.
struct YAMLInventoryReader {
  private let diagnostics: Diagnostics

  /// Adds a file's hosts and groups to the data; problems go to the diagnostics.
  static func read(_ root: MarkedNode, into data: inout InventoryData, diagnostics: Diagnostics) {
    let reader = YAMLInventoryReader(diagnostics: diagnostics)
    guard let entries = root.entries, !entries.isEmpty else {
      diagnostics.report(
        root.place, "an inventory must be a mapping of groups, not \(root.found)", "begin it with all:")
      return
    }
    for entry in entries { _ = reader.readGroup(entry, into: &data) }
  }

  private init(diagnostics: Diagnostics) { self.diagnostics = diagnostics }

  /// The group's index; nil where a problem was reported.
  private func readGroup(_ entry: MarkedEntry, into data: inout InventoryData) -> Int? {
    guard isGroupName(entry) else { return nil }
    guard let group = data.addGroup(entry.key) else {
      diagnostics.report(
        entry.keyPlace, "the inventory has too many groups", "check that it is the right file")
      return nil
    }
    if entry.value.isNull { return group }
    guard let sections = entry.value.entries else {
      diagnostics.report(
        entry.value.place, "the group \(quoted(entry.key)) must be a mapping, not \(entry.value.found)",
        "write hosts:, children: or vars: below it")
      return nil
    }
    for section in sections {
      guard ["hosts", "children", "vars"].contains(section.key) else {
        diagnostics.report(
          section.keyPlace, "a group has no key \(quoted(section.key))",
          proposal(for: section.key, of: ["hosts", "children", "vars"]))
        continue
      }
      for item in items(of: section) { read(item, section: section.key, group: group, into: &data) }
    }
    return group
  }

  private func read(_ item: MarkedEntry, section: String, group: Int, into data: inout InventoryData) {
    switch section {
    case "hosts": readHost(item, group: group, into: &data)
    case "children":
      if let child = readGroup(item, into: &data) {
        data.addChild(child, to: group, file: diagnostics.file, place: item.keyPlace)
      }
    default: data.setVariable(item.key, Variable(file: diagnostics.file, node: item.value), group: group)
    }
  }

  /// The pairs of a section; a single word stands for a key without a value.
  private func items(of section: MarkedEntry) -> [MarkedEntry] {
    if let entries = section.value.entries { return entries }
    if section.value.isNull { return [] }
    if let word = section.value.text, section.key != "vars" {
      let nothing = MarkedNode(place: section.value.place, content: .scalar("", isPlain: true))
      return [MarkedEntry(key: word, keyPlace: section.value.place, value: nothing)]
    }
    diagnostics.report(
      section.value.place, "\(section.key) must be a mapping, not \(section.value.found)",
      section.key == "vars" ? "write NAME: VALUE" : "write each name with a colon behind it")
    return []
  }

  private func readHost(_ entry: MarkedEntry, group: Int, into data: inout InventoryData) {
    let expanded: (names: [String], port: Int?)
    switch HostRange.expand(entry.key) {
    case .failure(let complaint):
      diagnostics.report(entry.keyPlace, complaint.what, complaint.instead)
      return
    case .success(let result): expanded = result
    }
    guard entry.value.isNull || entry.value.entries != nil else {
      diagnostics.report(
        entry.value.place,
        "the host \(quoted(entry.key)) must have a mapping of variables, not \(entry.value.found)",
        "write NAME: VALUE below it")
      return
    }
    for name in expanded.names {
      guard let host = data.addHost(name, to: group) else {
        diagnostics.report(
          entry.keyPlace, "the inventory has more than \(InventoryData.mostHosts) hosts", "split it")
        return
      }
      if let port = expanded.port {
        let node = MarkedNode(place: entry.keyPlace, content: .scalar("\(port)", isPlain: true))
        data.setVariable("ansible_port", Variable(file: diagnostics.file, node: node), host: host)
      }
      for variable in entry.value.entries ?? [] {
        data.setVariable(variable.key, Variable(file: diagnostics.file, node: variable.value), host: host)
      }
    }
  }

  private func isGroupName(_ entry: MarkedEntry) -> Bool {
    let isGood = !entry.key.unicodeScalars.contains {
      $0.value <= 0x20 || $0 == ":" || $0 == "[" || $0 == "]" || $0 == "/"
    }
    guard isGood, entry.key.utf8.count <= 253 else {
      diagnostics.report(
        entry.keyPlace, "\(quoted(entry.key)) is no group's name", "use letters, digits, \"_\" and \"-\"")
      return false
    }
    return true
  }
}
