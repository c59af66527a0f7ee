import Glibc
import RolloutModel

/// A lock on a file, for one operation at a time: under an agent's own lock it is looked at and changed. Given up with this
/// value's life, or with the process.
package final class AgentLock {
  private let file: Descriptor

  /// Waits for an agent's lock. Throws `.deadline` where another operation holds it for longer, `.notFound` where the agent
  /// has no folder.
  package convenience init(folder: String, within span: Span) throws(HostFailure) {
    try self.init(path: "\(folder)/lock", within: span)
  }

  /// Waits for the lock under which traffic is moved and what announces that is written: short, where the agent's own may be
  /// held through a start or a drain. Who changes the agent takes the agent's own first.
  package convenience init(trafficOf folder: String, within span: Span) throws(HostFailure) {
    try self.init(path: "\(folder)/traffic.lock", within: span)
  }

  /// Waits for the lock of any path, in a folder that is there.
  package init(path: String, within span: Span) throws(HostFailure) {
    let deadline = Deadline(in: span)
    var pause: useconds_t = 1000
    var opened = try Self.open(path)
    while true {
      if flock(opened.number, LOCK_EX | LOCK_NB) == 0 {
        if try Self.isStill(opened, at: path) { break }
        // Whoever held it removed it with its folder: it locks nothing any more.
        opened = try Self.open(path)
        continue
      }
      guard errno == EWOULDBLOCK || errno == EINTR else { throw systemFailure("locking \(path)") }
      guard !deadline.passed else {
        throw HostFailure(
          .deadline, "another operation has held \(path) for \(span)",
          hint: "try again; `fuser -v \(path)` on the host shows whose it is")
      }
      usleep(pause)
      pause = min(pause * 2, 20_000)
    }
    file = opened
  }

  private static func open(_ path: String) throws(HostFailure) -> Descriptor {
    let number = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard number >= 0 else {
      throw errno == ENOENT
        ? HostFailure(.notFound, "there is no folder for \(path)") : systemFailure("opening \(path)")
    }
    return Descriptor(owning: number)
  }

  private static func isStill(_ file: Descriptor, at path: String) throws(HostFailure) -> Bool {
    var held = stat()
    var there = stat()
    guard fstat(file.number, &held) == 0 else { throw systemFailure("looking at \(path)") }
    guard lstat(path, &there) == 0 else {
      if errno == ENOENT { return false }
      throw systemFailure("looking at \(path)")
    }
    return held.st_dev == there.st_dev && held.st_ino == there.st_ino
  }
}
