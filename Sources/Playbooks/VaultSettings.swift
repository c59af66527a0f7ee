import FoundationEssentials

/// Where Ansible finds passwords of vaults without being asked to by Switchyard: variables of the environment, and its
/// configuration files.
enum VaultSettings {
  private static let variables = ["ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_IDENTITY_LIST"]
  private static let keys = ["vault_password_file", "vault_identity_list"]

  /// Whether any of them is set for programs of Ansible that run in these folders. Ansible reads the first configuration file that
  /// there is; here all count, for a word too many withheld is the lesser harm. Blocks for a few files.
  static func areMade(in environment: [String: String], folders: [String]) -> Bool {
    if variables.contains(where: { environment[$0]?.isEmpty == false }) { return true }
    var files = folders.map { "\($0)/ansible.cfg" } + ["/etc/ansible/ansible.cfg"]
    if let home = environment["HOME"] { files.append("\(home)/.ansible.cfg") }
    if var named = environment["ANSIBLE_CONFIG"], !named.isEmpty {
      // What Ansible makes of another variable in it is not found out here.
      guard !named.contains("$") else { return true }
      if named.hasPrefix("~/"), let home = environment["HOME"] { named = home + named.dropFirst() }
      // It may be a folder that has one.
      for path in named.hasPrefix("/") ? [named] : folders.map({ "\($0)/\(named)" }) {
        files += [path, "\(path)/ansible.cfg"]
      }
    }
    return files.contains { file in
      // One that can't be read here can't be read by Ansible either.
      guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return false }
      return isMade(in: text)
    }
  }

  /// Whether a configuration file's text names one of the keys; its value may follow on other lines.
  static func isMade(in text: String) -> Bool {
    text.split(whereSeparator: \.isNewline).contains { line in
      let words = line.split(whereSeparator: { $0.isWhitespace || $0 == "=" || $0 == ":" })
      return words.first.map { keys.contains($0.lowercased()) } ?? false
    }
  }
}
