import CLinux
import Glibc

/// What a program of this machine has printed.
struct ProgramOutput: Sendable {
  var status: Int32
  var output: [UInt8]
  var errors: [UInt8]
}

/// Runs a program with an argument array, without a shell, its input empty, and gives back its output (1 MiB of each
/// stream at most). It blocks: not for the loop. Killed at the deadline.
func runLocalProgram(_ arguments: [String], within limit: Duration) throws(LocalFileError) -> ProgramOutput {
  let name = arguments.first ?? ""
  func failure(_ code: Int32) -> LocalFileError { LocalFileError(path: name, code: code) }
  var output: [Int32] = [-1, -1]
  var errors: [Int32] = [-1, -1]
  // Other threads start programs, too: close-on-exec keeps our ends out of theirs.
  guard pipeClosedOnExec(&output) else { throw failure(errno) }
  defer { close(output[0]) }
  guard pipeClosedOnExec(&errors) else {
    close(output[1])
    throw failure(errno)
  }
  defer { close(errors[0]) }
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
  posix_spawn_file_actions_adddup2(&actions, output[1], 1)
  posix_spawn_file_actions_adddup2(&actions, errors[1], 2)
  posix_spawn_file_actions_addclosefrom_np(&actions, 3)
  var process: pid_t = 0
  var cArguments: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
  cArguments.append(nil)
  defer { for pointer in cArguments { free(pointer) } }
  let code = posix_spawnp(&process, name, &actions, nil, cArguments, environ)
  close(output[1])
  close(errors[1])
  guard code == 0 else { throw failure(code) }
  let deadline = ContinuousClock.now + limit
  let collected = collect([output[0], errors[0]], until: deadline)
  var status: Int32 = 0
  // One that closed its streams may go on.
  while true {
    let ended = waitpid(process, &status, WNOHANG)
    if ended == process { break }
    // Somebody else has collected it, and its number may be another one's by now.
    guard ended == 0 || errno == EINTR else { throw failure(errno) }
    guard collected != nil, ContinuousClock.now < deadline else {
      kill(process, SIGKILL)
      while waitpid(process, &status, 0) < 0, errno == EINTR {}
      throw LocalFileError(path: name, code: 0, other: "it did not end in time")
    }
    usleep(1000)
  }
  guard let collected else { throw LocalFileError(path: name, code: 0, other: "it did not end in time") }
  return ProgramOutput(status: status, output: collected[0], errors: collected[1])
}

private func pipeClosedOnExec(_ ends: inout [Int32]) -> Bool {
  pipe2(&ends, O_CLOEXEC) == 0
}

/// All that comes from the descriptors until their ends; nil at the deadline.
private func collect(_ descriptors: [Int32], until deadline: ContinuousClock.Instant) -> [[UInt8]]? {
  let limit = 1 << 20
  var collected = descriptors.map { _ in [UInt8]() }
  var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
  var buffer = [UInt8](repeating: 0, count: 16384)
  while polled.contains(where: { $0.fd >= 0 }) {
    let left = (deadline - ContinuousClock.now).components
    guard left.seconds >= 0, left.attoseconds >= 0 else { return nil }
    _ = poll(&polled, nfds_t(polled.count), Int32(min(left.seconds, 3600) * 1000 + 1))
    for index in polled.indices where polled[index].revents != 0 {
      let count = read(polled[index].fd, &buffer, buffer.count)
      if count > 0 {
        collected[index] += buffer.prefix(min(count, limit - collected[index].count))
      } else if count == 0 || errno != EINTR {
        polled[index].fd = -1
      }
    }
  }
  return collected
}
