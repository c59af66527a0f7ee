import Glibc
import RolloutModel

/// A program whose input and output are one connection, in a process group of its own.
struct ConnectedProgram {
  private let pid: pid_t

  /// Starts a program with just this environment. What it complains of goes where this process' complaints go.
  init(_ argv: [String], environment: [String], connection: Int32) throws(HostFailure) {
    let path = try ChildProcess.find(argv.first ?? "")
    pid = try ChildProcess.spawn(path, argv, environment, streams: [connection, connection, 2])
  }

  /// Whether it has not ended yet; asked no more once it has.
  var isRunning: Bool {
    var status: Int32 = 0
    return waitpid(pid, &status, WNOHANG) == 0
  }

  /// Ends it and its group, at once. Only while it runs: afterwards its number may be another's.
  func end() { kill(-pid, SIGKILL) }
}
