import MarkedYAML
import RolloutModel

/// The variables that say how to reach a host, as one host has them.
struct ConnectionVariables {
  /// The names that are read; all others are passed over, passwords among them.
  static let names: Set<String> = [
    "ansible_host", "ansible_ssh_host", "ansible_port", "ansible_ssh_port", "ansible_user",
    "ansible_ssh_user",
    "ansible_private_key_file", "ansible_ssh_private_key_file", "ansible_ssh_args", "ansible_ssh_common_args",
    "ansible_ssh_extra_args", "ansible_connection", "switchyard_domain",
  ]

  private let host: String
  private let groups: [String]
  private let home: String?
  private let values: [String: Variable]
  private let diagnostics: Diagnostics

  /// The variables of a host, later layers having won already; `home` replaces a leading `~`.
  init(host: String, groups: [String], values: [String: Variable], home: String?, diagnostics: Diagnostics) {
    self.host = host
    self.groups = groups
    self.values = values
    self.home = home
    self.diagnostics = diagnostics
  }

  /// The host; what is wrong with its variables goes to the diagnostics.
  func resolve() -> Host {
    checkConnection()
    var result = Host(name: host, address: host, groups: groups.sorted())
    // Where a variable has an older name too, Ansible lets the older name win.
    if let address = text(
      "ansible_ssh_host", "ansible_host", check: Self.isAddress, right: "write a name or an address")
    {
      result.address = address
    }
    result.port = port("ansible_ssh_port", "ansible_port")
    result.user = text("ansible_ssh_user", "ansible_user", check: Self.isUser, right: "write a user's name")
    result.identityFile = text(
      "ansible_ssh_private_key_file", "ansible_private_key_file", check: Self.isPath,
      right: "write the path of a key file"
    ).map(expandHome)
    result.domain = text(
      "switchyard_domain", check: { $0.utf8.count <= 128 }, right: "write at most 128 bytes")
    for name in ["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"] {
      guard let arguments = text(name, check: { _ in true }, right: ""), let variable = values[name] else {
        continue
      }
      apply(arguments, variable, to: &result)
    }
    return result
  }

  private func apply(_ arguments: String, _ variable: Variable, to host: inout Host) {
    switch SSHArguments.read(arguments) {
    case .failure(let complaint): report(variable, complaint.what, complaint.instead)
    case .success(let found):
      if host.proxyJump == nil { host.proxyJump = found.proxyJump }
      if host.knownHostsFiles.isEmpty { host.knownHostsFiles = found.knownHostsFiles.map(expandHome) }
      if host.identityFile == nil { host.identityFile = found.identityFile.map(expandHome) }
      if host.port == nil { host.port = found.port }
      if host.user == nil { host.user = found.user }
    }
  }

  private func checkConnection() {
    let kinds = [
      "ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh",
    ]
    guard let kind = text("ansible_connection", check: { _ in true }, right: ""), !kinds.contains(kind),
      let variable = values["ansible_connection"]
    else { return }
    report(
      variable,
      "the host \(host) is reached by the connection \(quoted(kind)), which Switchyard does not have",
      "write ssh, or leave the host out with --limit")
  }

  /// The value of the first of these variables that is set; without a `right`, empty text counts as not set.
  private func text(_ names: String..., check: (String) -> Bool, right: String) -> String? {
    guard let name = names.first(where: { values[$0].map { !$0.node.isNull } ?? false }),
      let variable = values[name]
    else { return nil }
    guard case .scalar(let text, _) = variable.node.content else {
      report(variable, "\(name) of \(host) is \(variable.node.found)", "write it as text")
      return nil
    }
    if variable.node.tag == "!vault" {
      report(variable, "\(name) of \(host) is encrypted", "write it in clear: it is no secret")
      return nil
    }
    guard !text.contains("{{"), !text.contains("{%") else {
      report(
        variable, "\(name) of \(host) is a template: \(quoted(text))",
        "write the value itself, or have an inventory plug-in make it (constructed, read through ansible-inventory)"
      )
      return nil
    }
    if text.isEmpty, right.isEmpty { return nil }
    let isClean = !text.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }
    guard !text.isEmpty, text.utf8.count <= 4096, isClean, check(text) else {
      report(
        variable, "\(name) of \(host) is \(quoted(text))", right.isEmpty ? "write one line of text" : right)
      return nil
    }
    return text
  }

  private func port(_ names: String...) -> Int? {
    for name in names {
      guard let text = text(name, check: { _ in true }, right: "write a port") else { continue }
      if let port = Int(text), (1...65_535).contains(port) { return port }
      if let variable = values[name] {
        report(variable, "\(name) of \(host) is \(quoted(text))", "write a port from 1 to 65535")
      }
      return nil
    }
    return nil
  }

  private func report(_ variable: Variable, _ what: String, _ instead: String) {
    diagnostics.report(variable.node.place, what, instead, file: variable.file)
  }

  private func expandHome(_ path: String) -> String {
    guard let home, path.hasPrefix("~/") else { return path }
    return home + path.dropFirst(1)
  }

  private static func isAddress(_ text: String) -> Bool {
    text.utf8.first != UInt8(ascii: "-") && text.utf8.count <= 253
      && text.utf8.allSatisfy { HostRange.isLetterOrDigit($0) || "._:%-".utf8.contains($0) }
  }

  private static func isUser(_ text: String) -> Bool {
    text.utf8.first != UInt8(ascii: "-") && text.utf8.count <= 128
      && text.utf8.allSatisfy { HostRange.isLetterOrDigit($0) || "._@\\+$-".utf8.contains($0) }
  }

  private static func isPath(_ text: String) -> Bool { !text.hasPrefix("-") }
}
