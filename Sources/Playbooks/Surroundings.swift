import FoundationEssentials
import Ports
import RolloutModel

/// What all programs of one run are given: the search path with Ansible's own programs first, and what Ansible must not do by itself.
struct Surroundings: Sendable {
  let variables: [String: String]
  /// Where relative paths of the user begin.
  let callerFolder: String

  init(_ tools: AnsibleTools, _ folder: RunFolder, path: String?, callerFolder: String) {
    self.callerFolder = callerFolder
    variables = [
      "PATH": tools.folder + ":" + (path ?? "/usr/local/bin:/usr/bin:/bin"),
      "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCAL_TEMP": "\(folder.path)/tmp", "PYTHONDONTWRITEBYTECODE": "1",
      // The runner would not look at hosts' keys unless it is told to.
      "ANSIBLE_HOST_KEY_CHECKING": "True",
      // Sockets of connections that are kept: in the run's own folder, so that they are known.
      "ANSIBLE_SSH_CONTROL_PATH_DIR": "\(folder.path)/ssh",
      // A module that comes over the connection which starts it has no terminal, and would outlive the connection's end.
      "ANSIBLE_PIPELINING": "False",
      "ANSIBLE_RETRY_FILES_ENABLED": "False",
      // Modules would write their arguments into the hosts' journals.
      "ANSIBLE_NO_TARGET_SYSLOG": "True",
      // Bytes of a result; a longer one is left out.
      "MAX_EVENT_RES": "262144",
    ]
  }

  /// The variables of a host's connection over SSH. All that the inventory says stays; paths are made absolute, for the run's folder
  /// is another one.
  func overSSH(_ host: Host) -> [String: PlaybookValue] {
    var values = Self.address(host)
    if let key = host.identityFile, !key.hasPrefix("/"), !key.hasPrefix("~") {
      values["ansible_ssh_private_key_file"] = .text("\(callerFolder)/\(key)")
    }
    return values
  }

  /// The variables of a host that runs a playbook on itself, as root. `su` is on every host, and asks root for nothing.
  static func onHost(_ host: Host) -> [String: PlaybookValue] {
    address(host).merging(
      [
        "ansible_connection": .text("local"), "ansible_user": .text("root"),
        "ansible_become_method": .text("su"),
      ], uniquingKeysWith: { $1 })
  }

  private static func address(_ host: Host) -> [String: PlaybookValue] {
    host.address == host.name ? [:] : ["ansible_host": .text(host.address)]
  }
}
