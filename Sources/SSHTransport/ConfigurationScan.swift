import Glibc

/// Finds out whether the ssh configuration files could say different things about different hosts. Where they can't, one
/// question to `ssh -G` does for all hosts.
struct ConfigurationScan {
  /// What makes a file's meaning depend on the host, beside `Host` and `Match` blocks.
  private static let telling: Set<String> = [
    "hostname", "hostkeyalias", "proxyjump", "proxycommand", "canonicalizehostname",
  ]

  private let home: String
  private var filesLeft = 64

  init(home: String) { self.home = home }

  /// Whether every host gets the same from these files. What can't be read or understood counts as no.
  mutating func isUniform(_ files: [(path: String, folder: String)]) -> Bool {
    files.allSatisfy { isUniform($0.path, folder: $0.folder) }
  }

  private mutating func isUniform(_ path: String, folder: String) -> Bool {
    guard filesLeft > 0 else { return false }
    filesLeft -= 1
    let bytes: [UInt8]
    do throws(LocalFileError) {
      bytes = try LocalFile.contents(path, limit: 1 << 20)
    } catch {
      return error.code == ENOENT
    }
    for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
      let text = line.drop { $0 == " " || $0 == "\t" }
      guard !text.isEmpty, !text.hasPrefix("#") else { continue }
      let parts = words(String(text.map { $0 == "=" ? " " : $0 }))
      guard let keyword = parts.first?.lowercased() else { continue }
      switch keyword {
      case "host": if parts.dropFirst() != ["*"] { return false }
      case "match": if parts.dropFirst() != ["all"] { return false }
      case "include":
        for pattern in parts.dropFirst() {
          for file in matches(pattern, folder: folder) where !isUniform(file, folder: folder) { return false }
        }
      case let other: if Self.telling.contains(other) { return false }
      }
    }
    return true
  }

  private func matches(_ pattern: String, folder: String) -> [String] {
    let path = expandedPath(pattern, home: home, tokens: [:])
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(path.hasPrefix("/") ? path : folder + "/" + path, 0, nil, &found) == 0 else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(cString: $0) } }
  }
}
