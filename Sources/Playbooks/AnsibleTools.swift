import Glibc
import Ports
import RolloutModel

/// Ansible's programs, all of one environment.
public struct AnsibleTools: Sendable {
  /// How to come by them.
  static let advice =
    "in the source tree make setup puts it into .cache/python-tools/bin; elsewhere: python3 -m venv DIR && DIR/bin/pip install ansible-core ansible-runner, and name DIR/bin/ansible-runner with --ansible-runner or SWITCHYARD_ANSIBLE_RUNNER"

  let runner: String
  let playbook: String
  let inventory: String
  /// The folder that they are in.
  let folder: String

  /// The programs beside the `ansible-runner` that was named, by an option or by SWITCHYARD_ANSIBLE_RUNNER, or else is on the
  /// PATH. Errors: there is none, or it stands alone.
  public static func find(_ named: String?, environment: [String: String]) throws(PlaybookError)
    -> AnsibleTools
  {
    let runner: String
    if let named = named ?? environment["SWITCHYARD_ANSIBLE_RUNNER"], !named.isEmpty {
      guard named.contains("/"), access(named, X_OK) == 0 else {
        throw PlaybookError(
          .tool, "\(escapedForTerminal(named)) is no program that can be run", hint: advice)
      }
      runner = named
    } else {
      let folders = (environment["PATH"] ?? "").split(separator: ":").filter { $0.hasPrefix("/") }
      let places: [String] = folders.map { "\($0)/ansible-runner" }
      guard let found = places.first(where: { access($0, X_OK) == 0 }) else {
        throw PlaybookError(.tool, "there is no ansible-runner on the PATH", hint: advice)
      }
      runner = found
    }
    // A link in the search path leads to where the others are.
    guard let resolved = realpath(runner, nil) else {
      throw PlaybookError(.tool, "\(escapedForTerminal(runner)) can't be found", hint: advice)
    }
    defer { free(resolved) }
    let path = String(cString: resolved)
    let folder = String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex))
    for name in ["ansible-playbook", "ansible-inventory"] where access("\(folder)/\(name)", X_OK) != 0 {
      throw PlaybookError(
        .tool, "\(escapedForTerminal(folder)) has ansible-runner, but no \(name)",
        hint: "install ansible-core into the same environment")
    }
    return AnsibleTools(
      runner: path, playbook: "\(folder)/ansible-playbook", inventory: "\(folder)/ansible-inventory",
      folder: folder)
  }
}
