import FoundationEssentials
import Glibc
import MarkedYAML

/// What a path to an inventory names.
struct InventorySource {
  enum Kind {
    /// Files that are read here, in order.
    case files([String])
    /// Something that only `ansible-inventory` can read.
    case external
  }

  let kind: Kind
  /// The folder in which `group_vars/` and `host_vars/` may stand; nil where `ansible-inventory` reads them.
  let variableFolder: String?

  /// Errors: nothing there, or a folder without inventories.
  init(path: String) throws(FileProblems) {
    var isFolder = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder {
      let files = try Self.files(in: path, depth: 1)
      guard !files.isEmpty else {
        throw FileProblems(file: path, what: "the folder holds no inventory", instead: "name a file")
      }
      var isExternal = false
      for file in files where try Self.isExternal(file) { isExternal = true }
      kind = isExternal ? .external : .files(files)
      variableFolder = isExternal ? nil : path
      return
    }
    let isExternal = try Self.isExternal(path)
    kind = isExternal ? .external : .files([path])
    let folder = path.lastIndex(of: "/").map { String(path[..<$0]) }
    variableFolder = isExternal ? nil : folder.map { $0.isEmpty ? "/" : $0 } ?? "."
  }

  /// Whether a file is YAML rather than INI: by its ending, else by its first line that says something.
  static func isYAML(_ bytes: [UInt8], path: String) -> Bool {
    if [".yml", ".yaml", ".json"].contains(where: { path.hasSuffix($0) }) { return true }
    if [".ini", ".cfg"].contains(where: { path.hasSuffix($0) }) { return false }
    for line in bytes.prefix(65_536).split(separator: UInt8(ascii: "\n")) {
      let text = line.drop { $0 == 0x20 || $0 == 0x09 }
      guard let first = text.first, first != UInt8(ascii: "#"), first != UInt8(ascii: ";"), first != 0x0D
      else { continue }
      if text.starts(with: "---".utf8) || first == UInt8(ascii: "{") { return true }
      let word = text.prefix { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }
      return word.last == UInt8(ascii: ":") && first != UInt8(ascii: "[")
    }
    return false
  }

  private static func isExternal(_ path: String) throws(FileProblems) -> Bool {
    let bytes = try BoundedFile.beginning(of: path)
    if access(path, X_OK) == 0, bytes.starts(with: "#!".utf8) || !isText(bytes) { return true }
    guard isYAML(bytes, path: path) else { return false }
    return bytes.split(separator: UInt8(ascii: "\n")).contains { $0.starts(with: "plugin:".utf8) }
  }

  private static func isText(_ bytes: [UInt8]) -> Bool { !bytes.prefix(8192).contains(0) }

  /// A folder's inventories, sorted, as Ansible takes them: not the variable folders, nor hidden files, nor what looks
  /// like a backup, a document or a configuration.
  private static func files(in folder: String, depth: Int) throws(FileProblems) -> [String] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: folder)
    } catch {
      throw FileProblems(file: folder, what: "the folder can't be listed", instead: "check its permissions")
    }
    let ignored = [
      ".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".ini", ".cfg", ".retry",
    ]
    var files: [String] = []
    for name in names.sorted() where !name.hasPrefix(".") && !["group_vars", "host_vars"].contains(name) {
      guard !ignored.contains(where: { name.hasSuffix($0) }) else { continue }
      let path = folder + "/" + name
      var isFolder = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { continue }
      if isFolder {
        if depth < 8 { files += try Self.files(in: path, depth: depth + 1) }
      } else {
        files.append(path)
      }
    }
    return files
  }
}
