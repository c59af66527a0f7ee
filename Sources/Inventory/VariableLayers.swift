import MarkedYAML

/// Merges the variables of a host as Ansible does: what stands later in this list wins. The inventory's variables of
/// `all`, then of the other groups, parents first; `group_vars/all`; `group_vars/` of the other groups; the inventory's
/// variables of the host; `host_vars/`.
struct VariableLayers {
  private let data: InventoryData
  private let groupFiles: [[String: Variable]]
  private let hostFiles: VariableFiles?

  /// Reads the files of all groups. Errors: those of the files.
  init(_ data: InventoryData, folder: String?) throws(FileProblems) {
    self.data = data
    guard let folder else {
      groupFiles = []
      hostFiles = nil
      return
    }
    let files = VariableFiles(folder: folder + "/group_vars")
    var variables: [[String: Variable]] = []
    for group in data.groups { variables.append(try files.variables(of: group.name)) }
    groupFiles = variables
    hostFiles = VariableFiles(folder: folder + "/host_vars")
  }

  /// The variables of a host; `groups` are its groups, `all` first, in the order in which they are merged. Errors: those
  /// of the host's files.
  func values(host: Int, groups: [Int]) throws(FileProblems) -> [String: Variable] {
    var values: [String: Variable] = [:]
    func merge(_ layer: [String: Variable]) { values.merge(layer) { _, new in new } }
    for group in groups { merge(data.groups[group].variables) }
    if !groupFiles.isEmpty { for group in groups { merge(groupFiles[group]) } }
    merge(data.hosts[host].variables)
    if let hostFiles { merge(try hostFiles.variables(of: data.hosts[host].name)) }
    return values
  }
}
