import FoundationEssentials
import Glibc
import Ports
import RolloutModel

/// Who runs a rollout.
public struct LockHolder: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The process.
  public var pid: Int32
  /// The user's name.
  public var user: String
  /// The machine's name.
  public var host: String
  /// Since when, in milliseconds since 1970.
  public var since: Int64

  /// A holder from its parts.
  public init(pid: Int32, user: String, host: String, since: Int64) {
    self.pid = pid
    self.user = user
    self.host = host
    self.since = since
  }

  /// This process, since `wall`.
  public static func current(wall: Int64) -> LockHolder {
    var name = [CChar](repeating: 0, count: 256)
    let host = gethostname(&name, name.count - 1) == 0 ? text(name) : "unknown"
    return LockHolder(pid: getpid(), user: userName(), host: host, since: wall)
  }

  /// `root@host, process 4711, since 2026-11-23T23:50:00Z`.
  public var description: String {
    let began = Date(timeIntervalSince1970: Double(since) / 1000)
    return "\(user)@\(host), process \(pid), since \(began.formatted(.iso8601))"
  }

  private static func userName() -> String {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 4096)
    guard getpwuid_r(getuid(), &entry, &buffer, buffer.count, &found) == 0, found != nil,
      let name = entry.pw_name
    else { return "user \(getuid())" }
    return String(cString: name)
  }

  private static func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix(while: { $0 != 0 }).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

/// The right to be the one controller of a rollout. It lasts as long as this object, or until the process dies.
public final class RolloutLock: Sendable {
  private let lock: FileLock

  /// Takes the lock `directory`/rollouts/`rollout`.lock. Throws, naming the holder, where another process has it.
  /// Blocks for a few file operations.
  public init(rollout: String, directory: String, holder: LockHolder) throws(JournalError) {
    try StateFolder.check(rollout)
    try StateFolder.make(StateFolder.rollouts(in: directory))
    lock = try FileLock(opening: StateFolder.rolloutLock(of: rollout, in: directory))
    guard lock.tryLock() else {
      let who = Self.holder(lock).map { "\($0)" } ?? "another process"
      throw JournalError(
        "rollout \(rollout) has a controller already: \(who)",
        hint: "speak to it with `switchyard rollout status|pause|abort`, or end it first")
    }
    do {
      lock.write(try canonicalJSON(holder))
    } catch {
      throw JournalError("can't write who holds rollout \(rollout): \(error)", hint: "report this as a bug")
    }
  }

  /// Who holds a rollout's lock now; nil where nobody does. Blocks for a few file operations.
  public static func holder(of rollout: String, directory: String) throws(JournalError) -> LockHolder? {
    try StateFolder.check(rollout)
    let path = StateFolder.rolloutLock(of: rollout, in: directory)
    guard access(path, F_OK) == 0 else { return nil }
    let lock = try FileLock(opening: path)
    guard lock.isHeldByAnother else { return nil }
    return holder(lock) ?? LockHolder(pid: 0, user: "unknown", host: "unknown", since: 0)
  }

  private static func holder(_ lock: FileLock) -> LockHolder? {
    let bytes = lock.read()
    // What can't be decoded was never written whole: the holder is just not known.
    guard var holder = try? JSONDecoder().decode(LockHolder.self, from: Data(bytes)) else { return nil }
    holder.user = escapedForTerminal(holder.user, limit: 64)
    holder.host = escapedForTerminal(holder.host, limit: 64)
    return holder
  }
}
