import FoundationEssentials

/// Where Ansible finds passwords of vaults without being asked to by Switchyard: variables of the environment, and its
/// configuration files.
enum VaultSettings {
  private static let variables = ["ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_IDENTITY_LIST"]
  private static let keys = ["vault_password_file", "vault_identity_list"]

  /// Whether any of them is set for a run in this folder. Ansible reads the first configuration file that there is, and not one that
  /// everybody may write; here all count, for a word too many withheld is the lesser harm. Blocks for a few files.
  static func areMade(in environment: [String: String], folder: String) -> Bool {
    if variables.contains(where: { environment[$0]?.isEmpty == false }) { return true }
    var files = ["\(folder)/ansible.cfg", "/etc/ansible/ansible.cfg"]
    if let home = environment["HOME"] { files.append("\(home)/.ansible.cfg") }
    if let named = environment["ANSIBLE_CONFIG"], !named.isEmpty {
      // It may be a folder that has one.
      files += [named, "\(named)/ansible.cfg"]
    }
    return files.contains { file in
      // One that can't be read here can't be read by Ansible either.
      guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return false }
      return isMade(in: text)
    }
  }

  /// Whether a configuration file's text makes one.
  static func isMade(in text: String) -> Bool {
    text.split(whereSeparator: \.isNewline).contains { line in
      let words = line.split(whereSeparator: { $0.isWhitespace || $0 == "=" || $0 == ":" })
      guard let key = words.first, words.count > 1 else { return false }
      return keys.contains(key.lowercased())
    }
  }
}
