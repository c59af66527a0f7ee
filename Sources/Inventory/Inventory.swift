import FoundationEssentials
import Glibc
import MarkedYAML
import RolloutModel

/// Reads Ansible inventories.
public enum Inventory {
  /// The hosts of an inventory that a pattern chooses, in the inventory's order; all of them without one.
  ///
  /// YAML and INI files are read here, with `group_vars/` and `host_vars/` beside them, and folders of such files. An
  /// executable, or a file that names a plug-in, is read by the program `ansible-inventory`. Errors: everything that is
  /// wrong with the files, each with its place; a pattern that matches nothing; an inventory without hosts.
  public static func load(path: String, limit: String? = nil) async throws(FileProblems) -> [Host] {
    let source = try InventorySource(path: path)
    var data = InventoryData()
    switch source.kind {
    case .external:
      let listing = try await ExternalInventory.list(path: path)
      try ExternalInventory.read(listing, file: path, into: &data)
    case .files(let files):
      let diagnostics = Diagnostics(file: path)
      for file in files {
        try read(BoundedFile.read(path: file), file: file, into: &data, diagnostics: diagnostics)
      }
      try diagnostics.throwIfAny()
    }
    return try hosts(&data, variables: source.variableFolder, path: path, limit: limit)
  }

  /// The hosts of an inventory in a text that errors call `name`; the name's ending tells YAML from INI. There are no
  /// variable folders beside it.
  public static func parse(text: String, name: String, limit: String? = nil) throws(FileProblems) -> [Host] {
    try parse(Array(text.utf8), name: name, limit: limit)
  }

  /// The hosts of an inventory in a file's bytes; see ``parse(text:name:limit:)``.
  public static func parse(_ bytes: [UInt8], name: String, limit: String? = nil) throws(FileProblems)
    -> [Host]
  {
    var data = InventoryData()
    let diagnostics = Diagnostics(file: name)
    try read(bytes, file: name, into: &data, diagnostics: diagnostics)
    try diagnostics.throwIfAny()
    return try hosts(&data, variables: nil, path: name, limit: limit)
  }

  private static func read(
    _ bytes: [UInt8], file: String, into data: inout InventoryData, diagnostics: Diagnostics
  ) throws(FileProblems) {
    let own = Diagnostics(file: file)
    if InventorySource.isYAML(bytes, path: file) {
      let root = try MarkedYAML.parse(bytes, file: file, keepTags: true)
      if let plugin = root.entries?.first(where: { $0.key == "plugin" }) {
        throw FileProblems(
          file: file, place: plugin.keyPlace, what: "this is the configuration of an inventory plug-in",
          instead: "name it alone as the inventory, so that ansible-inventory reads it")
      }
      YAMLInventoryReader.read(root, into: &data, diagnostics: own)
    } else {
      INIReader.read(try SourceText(bytes, file: file), into: &data, diagnostics: own)
    }
    diagnostics.take(own)
  }

  private static func hosts(
    _ data: inout InventoryData, variables folder: String?, path: String, limit: String?
  ) throws(FileProblems) -> [Host] {
    try data.settle()
    guard !data.hosts.isEmpty else {
      throw FileProblems(file: path, what: "the inventory has no hosts", instead: "name at least one")
    }
    let chosen: Set<Int>? = if let limit { try HostPattern(data).hosts(limit) } else { nil }
    let layers = try VariableLayers(data, folder: folder)
    let groups = data.groupsOfHosts()
    let diagnostics = Diagnostics(file: path)
    // Without a home folder, paths keep their ~.
    let home = getenv("HOME").map { String(cString: $0) }
    var hosts: [Host] = []
    for host in data.members(of: InventoryData.all) where chosen?.contains(host) ?? true {
      let values = try layers.values(host: host, groups: groups[host])
      let names = groups[host].map { data.groups[$0].name }.filter { $0 != "all" && $0 != "ungrouped" }
      hosts.append(
        ConnectionVariables(
          host: data.hosts[host].name, groups: names, values: values, home: home, diagnostics: diagnostics
        ).resolve())
    }
    try diagnostics.throwIfAny()
    return hosts
  }
}
