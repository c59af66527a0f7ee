import Ports
import RolloutModel

/// How a host is reached over SSH, as Ansible's variables say it.
enum SSHVariables {
  static func of(_ host: Host) -> [String: PlaybookValue] {
    var values: [String: PlaybookValue] = ["ansible_host": .text(host.address)]
    if let port = host.port { values["ansible_port"] = .integer(Int64(port)) }
    if let user = host.user { values["ansible_user"] = .text(user) }
    if let key = host.identityFile { values["ansible_ssh_private_key_file"] = .text(key) }
    var words: [String] = []
    if !host.knownHostsFiles.isEmpty {
      let files = host.knownHostsFiles.map { "\"\($0)\"" }.joined(separator: " ")
      words += ["-o", "UserKnownHostsFile=\(files)"]
    }
    if let jump = host.proxyJump { words += ["-J", jump] }
    if !words.isEmpty {
      values["ansible_ssh_common_args"] = .unsafe(words.map(quoted).joined(separator: " "))
    }
    return values
  }

  /// One word for Ansible, which takes a list of arguments from a text as a shell would.
  private static func quoted(_ word: String) -> String { "'" + word.replacing("'", with: "'\"'\"'") + "'" }
}
