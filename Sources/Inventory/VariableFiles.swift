import FoundationEssentials
import MarkedYAML

/// Variables in the folders `group_vars/` and `host_vars/` beside an inventory.
struct VariableFiles {
  private let folder: String
  private let names: Set<String>

  /// Reads the folder's list of names once; a folder that is not there has none.
  init(folder: String) {
    self.folder = folder
    // A folder that can't be listed is treated like one that is not there, as Ansible does.
    names = Set((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
  }

  /// The variables of a group or host. Errors: a file that is no mapping, or no YAML. Encrypted files are not read.
  func variables(of name: String) throws(FileProblems) -> [String: Variable] {
    var variables: [String: Variable] = [:]
    for path in files(of: name) {
      let bytes = try BoundedFile.read(path: path)
      if bytes.starts(with: Array("$ANSIBLE_VAULT".utf8)) || Self.isEmpty(bytes) { continue }
      let root = try MarkedYAML.parse(bytes, file: path, keepTags: true)
      if root.isNull { continue }
      guard let entries = root.entries else {
        throw FileProblems(
          file: path, place: root.place, what: "variables must be a mapping, not \(root.found)",
          instead: "write NAME: VALUE")
      }
      for entry in entries where ConnectionVariables.names.contains(entry.key) {
        variables[entry.key] = Variable(file: path, node: entry.value)
      }
    }
    return variables
  }

  /// As Ansible looks for them: the plain name (a file, or a folder with files), then the first known extension.
  private func files(of name: String) -> [String] {
    for suffix in ["", ".yml", ".yaml", ".json"] where names.contains(name + suffix) {
      let path = folder + "/" + name + suffix
      return Self.isFolder(path) ? Self.files(in: path, depth: 1) : [path]
    }
    return []
  }

  private static func files(in folder: String, depth: Int) -> [String] {
    guard depth <= 8 else { return [] }
    // A folder that vanished or can't be listed has no files.
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.sorted().flatMap { name -> [String] in
      guard !name.hasPrefix("."), !name.hasSuffix("~") else { return [] }
      let path = folder + "/" + name
      let hasExtension = name.contains(".")
      if isFolder(path) { return hasExtension ? [] : files(in: path, depth: depth + 1) }
      return !hasExtension || [".yml", ".yaml", ".json"].contains { name.hasSuffix($0) } ? [path] : []
    }
  }

  private static func isFolder(_ path: String) -> Bool {
    var isFolder = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder
  }

  /// Whether a file has nothing but blank lines, comments and document marks.
  private static func isEmpty(_ bytes: [UInt8]) -> Bool {
    bytes.split(separator: UInt8(ascii: "\n")).allSatisfy { line in
      let text = line.drop { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
      return text.isEmpty || text.first == UInt8(ascii: "#") || text.elementsEqual("---".utf8)
    }
  }
}
