import Dispatch
import FoundationEssentials
import Glibc
import Testing

/// The program as it was built beside the tests, run as a person would run it.
enum Program {
  /// What a run left behind.
  struct Outcome: Sendable {
    /// The exit code; 128 and more for a program that was ended by a signal.
    var code: Int32
    var output: String
    var errors: String
  }

  /// Runs the program, or another one, with files as its output, so that neither end waits for the other.
  ///
  /// The environment is empty but for what is given and a home folder: nothing of this machine gets in.
  static func run(
    _ arguments: [String], of program: String? = nil, in folder: Folder, environment: [String: String] = [:]
  ) async throws -> Outcome {
    let number = folder.next()
    let (output, errors) = (folder.path("\(number).out"), folder.path("\(number).err"))
    let code = try await wait(
      spawn(arguments, of: program, folder: folder, environment: environment) { actions in
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, O_WRONLY | O_CREAT, 0o600)
      })
    return Outcome(code: code, output: try text(output), errors: try text(errors))
  }

  /// Runs the program on a terminal of its own and answers with all that it wrote there.
  static func runOnTerminal(
    _ arguments: [String], in folder: Folder, environment: [String: String]
  ) async throws -> Outcome {
    let terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    // TIOCSPTLCK and TIOCGPTN, which Glibc's module does not show: unlock the terminal's other end, and tell its number.
    var (locked, number): (Int32, UInt32) = (0, 0)
    try #require(
      terminal >= 0 && ioctl(terminal, 0x4004_5431, &locked) == 0
        && ioctl(terminal, 0x8004_5430, &number) == 0)
    let name = "/dev/pts/\(number)"
    let pid = try spawn(arguments, folder: folder, environment: environment) { actions in
      posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, name, O_RDWR | O_NOCTTY, 0)
      posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
    }
    let written: [UInt8] = await withCheckedContinuation { done in
      DispatchQueue.global().async {
        var written: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
          let count = read(terminal, &buffer, buffer.count)
          if count > 0 {
            written += buffer[..<count]
          } else if count == 0 || errno != EIO || kill(pid, 0) != 0 || hasEnded(pid) {
            break
          } else {
            // Nobody has the other end open yet.
            usleep(1000)
          }
        }
        close(terminal)
        done.resume(returning: written)
      }
    }
    return Outcome(code: try await wait(pid), output: String(decoding: written, as: UTF8.self), errors: "")
  }

  private static func spawn(
    _ arguments: [String], of program: String? = nil, folder: Folder, environment: [String: String],
    _ connect: (inout posix_spawn_file_actions_t) -> Void
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    connect(&actions)
    var environment = environment
    environment["HOME"] = environment["HOME"] ?? folder.root
    // A program that hangs is ended, and the test fails by its exit code.
    let words = ["timeout", "--signal=KILL", "120", try program ?? path()] + arguments
    var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") } + [nil]
    defer { for pointer in pointers + variables { free(pointer) } }
    var pid = pid_t()
    let code = posix_spawn(&pid, "/usr/bin/timeout", &actions, nil, &pointers, &variables)
    try #require(code == 0, "timeout can't be started: \(String(cString: strerror(code)))")
    return pid
  }

  private static func wait(_ pid: pid_t) async throws -> Int32 {
    let status: Int32 = await withCheckedContinuation { done in
      DispatchQueue.global().async {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        done.resume(returning: status)
      }
    }
    return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
  }

  /// Whether a child waits to be collected; it is left for `wait`.
  private static func hasEnded(_ pid: pid_t) -> Bool {
    var about = siginfo_t()
    return waitid(P_PID, id_t(pid), &about, WEXITED | WNOHANG | WNOWAIT) != 0 || about.si_signo == SIGCHLD
  }

  private static func text(_ path: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
  }

  /// The tests run from a bundle beside the programs.
  static func path() throws -> String {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let folder = own.prefix(upTo: own.lastIndex(of: "/") ?? own.startIndex)
    let path = "\(folder)/switchyard"
    try #require(access(path, X_OK) == 0, "\(path) is missing: build all targets first")
    return path
  }
}
