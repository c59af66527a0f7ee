import Glibc
import RolloutModel

/// The lock under which one operation at a time looks at an agent and changes it. Given up with this value's life, or
/// with the process.
package final class AgentLock {
  private let file: Descriptor

  /// Waits for the lock. Throws `.deadline` where another operation holds it for longer, `.notFound` where the agent
  /// has no folder.
  package init(folder: String, within span: Span) throws(HostFailure) {
    let path = "\(folder)/lock"
    let number = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard number >= 0 else {
      throw errno == ENOENT
        ? HostFailure(.notFound, "nothing is known of an agent in \(folder)")
        : systemFailure("opening \(path)")
    }
    file = Descriptor(owning: number)
    let deadline = Deadline(in: span)
    var pause: useconds_t = 1000
    while flock(number, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw systemFailure("locking \(path)") }
      guard !deadline.passed else {
        throw HostFailure(
          .deadline, "another operation has held \(path) for \(span)",
          hint: "try again; `fuser -v \(path)` on the host shows whose it is")
      }
      usleep(pause)
      pause = min(pause * 2, 20_000)
    }
  }
}
