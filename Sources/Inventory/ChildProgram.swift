import CLinux
import Glibc

/// A program that is run to its end, its output collected within bounds. No shell is between.
struct ChildProgram: Sendable {
  /// How it ended.
  enum Outcome: Sendable {
    case ended(code: Int32, output: [UInt8], errors: [UInt8])
    case notStarted(String)
    case tooLong
    case tooMuch
  }

  /// The program's path, or its name, found on the PATH.
  let name: String
  let arguments: [String]
  /// `NAME=VALUE`, before the variables that this program has itself.
  var environment: [String] = []
  let deadlineMilliseconds: Int
  let outputLimit: Int

  private static let errorLimit = 1 << 16
  private static let attempts = 10

  /// Runs it on a thread of its own, as waiting for it would hold a thread that tasks share.
  func run() async -> Outcome {
    await withCheckedContinuation { continuation in
      let work = Unmanaged.passRetained(
        Work {
          continuation.resume(returning: runBlocking())
        })
      var thread = pthread_t()
      let code = pthread_create(
        &thread, nil,
        { pointer in
          guard let pointer else { return nil }
          Unmanaged<Work>.fromOpaque(pointer).takeRetainedValue().body()
          return nil
        }, work.toOpaque())
      guard code == 0 else {
        work.release()
        continuation.resume(returning: .notStarted(String(cString: strerror(code))))
        return
      }
      pthread_detach(thread)
    }
  }

  private final class Work: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  private func runBlocking() -> Outcome {
    // Socket pairs, as pipes can't be made close-on-exec at once from here.
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    var output: [Int32] = [-1, -1]
    var errors: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, kind, 0, &output) == 0 else {
      return .notStarted(String(cString: strerror(errno)))
    }
    defer { close(output[0]) }
    guard socketpair(AF_UNIX, kind, 0, &errors) == 0 else {
      close(output[1])
      return .notStarted(String(cString: strerror(errno)))
    }
    defer { close(errors[0]) }
    let spawned = spawn(output: output[1], errors: errors[1])
    close(output[1])
    close(errors[1])
    switch spawned {
    case .failure(let failure): return .notStarted(String(cString: strerror(failure.code)))
    case .success(let process): return collect(process, output: output[0], errors: errors[0])
    }
  }

  private struct SpawnFailure: Error { let code: Int32 }

  private func spawn(output: Int32, errors: Int32) -> Result<pid_t, SpawnFailure> {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, errors, 2)
    posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A group of its own, so that at the deadline its children end with it; signals as a new program expects them.
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigaddset(&signals, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    var process = pid_t()
    let words = ([name] + arguments).map { strdup($0) }
    var variables = environment.map { strdup($0) }
    defer { for text in words + variables.prefix(environment.count) { free(text) } }
    var next = environ
    while let variable = next.pointee {
      variables.append(variable)
      next = next.advanced(by: 1)
    }
    var code: Int32 = 0
    for _ in 0..<Self.attempts {
      code = posix_spawnp(&process, name, &actions, &attributes, words + [nil], variables + [nil])
      // Whoever has just written the program's file, or a child begun at that moment, still has it open.
      guard code == ETXTBSY else { break }
      usleep(20_000)
    }
    return code == 0 ? .success(process) : .failure(SpawnFailure(code: code))
  }

  private func collect(_ process: pid_t, output: Int32, errors: Int32) -> Outcome {
    var collected: [[UInt8]] = [[], []]
    var open = [output, errors]
    var chunk = [UInt8](repeating: 0, count: 65_536)
    let deadline = Self.milliseconds() + deadlineMilliseconds
    while open.contains(where: { $0 >= 0 }) {
      let remaining = deadline - Self.milliseconds()
      guard remaining > 0 else { return end(process, .tooLong) }
      var waits = open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      guard poll(&waits, 2, Int32(min(remaining, 1000))) > 0 else { continue }
      for stream in 0..<2 where waits[stream].revents != 0 {
        let count = read(open[stream], &chunk, chunk.count)
        if count < 0, errno == EINTR { continue }
        if count <= 0 { open[stream] = -1 } else { collected[stream] += chunk.prefix(count) }
      }
      // Of errors the last lines are what says why.
      if collected[1].count > Self.errorLimit {
        collected[1].removeFirst(collected[1].count - Self.errorLimit)
      }
      guard collected[0].count <= outputLimit else { return end(process, .tooMuch) }
    }
    while true {
      var status: Int32 = 0
      let ended = waitpid(process, &status, WNOHANG)
      if ended == process {
        let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        return .ended(code: code, output: collected[0], errors: collected[1])
      }
      // Somebody else has collected it, and its number may be another one's by now.
      if ended < 0, errno != EINTR { return .notStarted(String(cString: strerror(errno))) }
      guard Self.milliseconds() < deadline else { return end(process, .tooLong) }
      usleep(5000)
    }
  }

  private func end(_ process: pid_t, _ outcome: Outcome) -> Outcome {
    kill(-process, SIGKILL)
    waitpid(process, nil, 0)
    return outcome
  }

  private static func milliseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
  }
}
