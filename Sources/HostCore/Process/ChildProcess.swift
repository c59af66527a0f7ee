import CLinux
import Glibc
import RolloutModel

/// A program started on the host, in a process group of its own, with nothing inherited but its three streams.
/// Ended, group and all, when this value's life ends.
package final class ChildProcess {
  /// Where programs are looked for, whatever the caller's PATH says.
  package static let searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

  /// What it writes; not blocking.
  package let output: Descriptor
  /// What it complains of; not blocking.
  package let errors: Descriptor
  /// Its name, for messages.
  package let name: String
  private let pid: pid_t
  private var status: Int32?

  /// Starts a program. `environment` is added to a minimal one (PATH, LANG).
  package init(
    _ argv: [String], stdin: Descriptor? = nil, environment: [EnvironmentVariable] = []
  ) throws(HostFailure) {
    guard let first = argv.first, !first.isEmpty, !argv.contains(where: { $0.utf8.contains(0) }) else {
      throw HostFailure(.invalid, "a command is empty or holds a zero byte")
    }
    name = escapedForTerminal(first, limit: 120)
    let path = try Self.find(first)
    let input = if let stdin { stdin } else { try Self.open("/dev/null") }
    let (output, outputEnd) = try Self.pipe()
    let (errors, errorsEnd) = try Self.pipe()
    self.output = output
    self.errors = errors
    let variables = Self.baseEnvironment + environment.map { "\($0.name)=\($0.value)" }
    guard fcntl(output.number, F_SETFL, O_NONBLOCK) == 0, fcntl(errors.number, F_SETFL, O_NONBLOCK) == 0
    else {
      throw systemFailure("making a pipe")
    }
    pid = try Self.spawn(
      path, argv, variables, streams: [input.number, outputEnd.number, errorsEnd.number])
  }

  deinit { end() }

  /// Its exit status, once it has ended; waits not at all.
  package func exited() -> ExitStatus? {
    if status == nil {
      var raw: Int32 = 0
      if waitpid(pid, &raw, WNOHANG) == pid { status = raw }
    }
    return status.map(ExitStatus.init(raw:))
  }

  /// Waits until it has ended or the deadline has passed.
  package func exited(by deadline: Deadline) -> ExitStatus? {
    var pause: useconds_t = 200
    while true {
      if let status = exited() { return status }
      if deadline.passed { return nil }
      // Its streams are at their end by now, so this is about the time that the kernel takes to clear up.
      usleep(pause)
      pause = min(pause * 2, 20_000)
    }
  }

  /// Ends it and all of its group, at once.
  package func end() {
    // A reaped group leader's number stays reserved only while members live: no signal to a number that may be reused.
    guard exited() == nil else { return }
    kill(-pid, SIGKILL)
    var raw: Int32 = 0
    while waitpid(pid, &raw, 0) < 0 && errno == EINTR {}
    status = raw
  }

  /// The program's file: a path as it stands, a name in the safe search path.
  package static func find(_ program: String) throws(HostFailure) -> String {
    if program.contains("/") {
      guard access(program, X_OK) == 0 else {
        throw HostFailure(
          .notFound, "\(escapedForTerminal(program)) can't be run: \(errorText(errno))")
      }
      return program
    }
    for folder in searchPath.split(separator: ":") {
      let path = "\(folder)/\(program)"
      if access(path, X_OK) == 0 { return path }
    }
    throw HostFailure(
      .notFound, "no program \(escapedForTerminal(program)) in \(searchPath)",
      hint: "install \(escapedForTerminal(program)) on the host")
  }

  private static var baseEnvironment: [String] { ["PATH=\(searchPath)", "LANG=C.UTF-8", "LC_ALL=C.UTF-8"] }

  private static func open(_ path: String) throws(HostFailure) -> Descriptor {
    let number = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { throw systemFailure("opening \(path)") }
    return Descriptor(owning: number)
  }

  /// A pipe whose ends no other program inherits.
  static func pipe() throws(HostFailure) -> (read: Descriptor, write: Descriptor) {
    var ends: [Int32] = [-1, -1]
    guard pipe2(&ends, O_CLOEXEC) == 0 else { throw systemFailure("making a pipe") }
    return (read: Descriptor(owning: ends[0]), write: Descriptor(owning: ends[1]))
  }

  /// Starts a program in a process group of its own, with these descriptors as its first ones.
  static func spawn(
    _ path: String, _ argv: [String], _ environment: [String], streams: [Int32]
  ) throws(HostFailure) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // First out of the way of 0 to 2 and of one another, so that no dup2 overwrites a stream that is still needed.
    let aside = max(streams.max() ?? 0, 2) + 1
    for (place, stream) in streams.enumerated() {
      posix_spawn_file_actions_adddup2(&actions, stream, aside + Int32(place))
    }
    for place in streams.indices {
      posix_spawn_file_actions_adddup2(&actions, aside + Int32(place), Int32(place))
    }
    // In the child itself: whatever another thread opens, or this process was left with, no mark can be late.
    posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var pid: pid_t = 0
    let error = withCStrings(argv) { arguments in
      withCStrings(environment) { variables in
        posix_spawn(&pid, path, &actions, &attributes, arguments, variables)
      }
    }
    guard error == 0 else { throw systemFailure("starting \(escapedForTerminal(path))", error) }
    return pid
  }
}

/// How a program ended.
package enum ExitStatus: Hashable, Sendable {
  /// It exited with this code.
  case code(Int32)
  /// This signal ended it.
  case signal(Int32)

  init(raw: Int32) {
    let signal = raw & 0x7f
    self = signal == 0 ? .code((raw >> 8) & 0xff) : .signal(signal)
  }

  /// Whether it exited with 0.
  package var isSuccess: Bool { self == .code(0) }
}

extension ExitStatus: CustomStringConvertible {
  /// For messages: `exit status 1`, `signal 9`.
  package var description: String {
    switch self {
    case .code(let code): "exit status \(code)"
    case .signal(let signal): "signal \(signal)"
    }
  }
}

/// Calls `body` with a NULL-terminated array of C strings that lives as long as the call.
private func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  let pointers = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: strings.count + 1)
  defer {
    for place in strings.indices { free(pointers[place]) }
    pointers.deallocate()
  }
  for (place, string) in strings.enumerated() {
    (pointers + place).initialize(to: strdup(string))
  }
  (pointers + strings.count).initialize(to: nil)
  return body(pointers)
}
