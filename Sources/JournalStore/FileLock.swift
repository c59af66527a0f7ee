import Glibc
import Ports
import RolloutModel

/// An exclusive lock on a file between processes, and between holders in one process. The kernel lifts it when its holder dies.
final class FileLock: Sendable {
  private let file: Int32

  /// Opens the lock's file, made where it is missing. Takes no lock yet.
  init(opening path: String) throws(JournalError) {
    file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw StateFolder.unusable(path, "can't open the lock \(path)", errno) }
  }

  deinit {
    // Lifted, and not only let go of: a child that this process is just starting has the file open until it runs.
    unlock()
    close(file)
  }

  /// Takes the lock where nobody has it.
  func tryLock() -> Bool {
    var wanted = Self.whole(F_WRLCK)
    while fcntl(file, Self.setOwn, &wanted) != 0 {
      guard errno == EINTR else { return false }
    }
    return true
  }

  /// Whether another holder has the lock. Looking takes nothing, so that who takes the lock meanwhile gets it.
  var isHeldByAnother: Bool {
    var found = Self.whole(F_WRLCK)
    guard fcntl(file, Self.getOwn, &found) == 0 else { return false }
    return found.l_type != Int16(F_UNLCK)
  }

  /// Waits at most `milliseconds` for the lock, on the calling thread.
  func lock(within milliseconds: Int) -> Bool {
    var waited = 0
    while !tryLock() {
      guard waited < milliseconds else { return false }
      var pause = timespec(tv_sec: 0, tv_nsec: 2_000_000)
      nanosleep(&pause, nil)
      waited += 2
    }
    return true
  }

  func unlock() {
    var none = Self.whole(F_UNLCK)
    _ = fcntl(file, Self.setOwn, &none)
  }

  // F_OFD_GETLK and F_OFD_SETLK, which Glibc's module does not show: locks of an open file, not of a process.
  private static let getOwn: Int32 = 36
  private static let setOwn: Int32 = 37

  private static func whole(_ type: Int32) -> flock {
    flock(l_type: Int16(type), l_whence: Int16(SEEK_SET), l_start: 0, l_len: 0, l_pid: 0)
  }

  /// What the file says, at most 4 KiB of it.
  func read() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = pread(file, &bytes, bytes.count, 0)
    return Array(bytes.prefix(max(count, 0)))
  }

  /// Makes `bytes` all that the file says. The text is for people: the lock holds where it can't be written.
  func write(_ bytes: [UInt8]) {
    guard ftruncate(file, 0) == 0 else { return }
    _ = pwrite(file, bytes, bytes.count, 0)
  }
}
