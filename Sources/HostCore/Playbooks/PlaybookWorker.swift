import Glibc
import RolloutModel

/// `ansible-runner worker`, which reads from and writes to the controller's own connection. The end of that connection is
/// its end.
struct PlaybookWorker {
  /// The program.
  let runner: String
  /// The run's own folder, which the unit's end removes.
  let folder: String
  let hasVault: Bool

  /// How often the connection and the worker are looked at, in milliseconds.
  private static let pause: Int32 = 200
  /// POLLRDHUP, which Glibc's module leaves out: the other side sends nothing more.
  private static let peerHasClosed: Int16 = 0x2000
  /// Silence is broken this often, in seconds, so that the controller can tell it from a lost connection.
  private static let keepalive = 10

  /// Ansible takes no other file for one that says nothing.
  private func emptyConfiguration() throws(HostFailure) -> String {
    let path = "\(folder)/none.cfg"
    let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw systemFailure("making \(path)") }
    close(file)
    return path
  }

  /// Runs it to its end, or until the controller has gone.
  func run(on connection: Int32) throws(HostFailure) {
    let bin = runner.prefix(upTo: runner.lastIndex(of: "/") ?? runner.startIndex)
    var variables = [
      // The programs of the same environment come first; what the host's own search path has follows.
      "PATH=\(bin):\(ChildProcess.searchPath)", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "HOME=/root", "USER=root",
      // Files beside the project's modules would make it another project.
      "PYTHONDONTWRITEBYTECODE=1",
      // Modules would write their arguments into the journal.
      "ANSIBLE_NO_TARGET_SYSLOG=True", "ANSIBLE_NOCOLOR=1", "ANSIBLE_LOCAL_TEMP=\(folder)/tmp",
      // Bytes of a result; a longer one is left out.
      "MAX_EVENT_RES=262144",
    ]
    // What the host itself has set for Ansible is for its own runs: here the same comes of a playbook as over SSH, and no vault is
    // opened that the controller does not know of.
    let own = "\(folder)/job/project/ansible.cfg"
    variables.append("ANSIBLE_CONFIG=\(access(own, R_OK) == 0 ? own : try emptyConfiguration())")
    if hasVault { variables.append("ANSIBLE_VAULT_PASSWORD_FILE=\(folder)/job/env/vault-password") }
    let worker = try ConnectedProgram(
      [runner, "worker", "--private-data-dir", "\(folder)/job", "--keepalive-seconds", "\(Self.keepalive)"],
      environment: variables, connection: connection)
    while worker.isRunning {
      var wait = pollfd(fd: connection, events: Self.peerHasClosed, revents: 0)
      let ready = poll(&wait, 1, Self.pause)
      if ready < 0 && errno != EINTR { throw systemFailure("watching the connection") }
      if ready > 0 {
        worker.end()
        throw HostFailure(.system, "the controller has gone: the playbook was ended")
      }
    }
  }
}
