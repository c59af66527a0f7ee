import Glibc
import RolloutModel

/// What is done with the files of an open folder.
extension OpenFolder {
  /// What a file says; nil where there is none. A secret file that others may read is refused: its secret may be known.
  func read(_ name: String, atMost limit: Int, isSecret: Bool = false) throws(AuthorityError) -> [UInt8]? {
    let path = path(of: name)
    // Without O_NONBLOCK a pipe in the file's place would be waited for.
    let file = openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else {
      let code = errno
      guard code != ENOENT else { return nil }
      guard code != ELOOP else {
        throw .damaged("\(escapedForTerminal(path)) is a link", hint: "put the file itself there")
      }
      throw .unusable(path, "can't be opened", code)
    }
    defer { close(file) }
    var about = stat()
    guard fstat(file, &about) == 0 else { throw .unusable(path, "can't be looked at", errno) }
    guard about.st_mode & S_IFMT == S_IFREG else {
      throw .damaged("\(escapedForTerminal(path)) is no file", hint: "put the file itself there")
    }
    if isSecret {
      guard about.st_uid == geteuid(), about.st_mode & 0o077 == 0 else {
        throw .damaged(
          "\(escapedForTerminal(path)) may be read by others than this user (mode \(String(about.st_mode & 0o7777, radix: 8)), owner \(about.st_uid))",
          hint:
            "if others could get at it, make a new authority; else `chown` it to this user and `chmod 600` it"
        )
      }
    }
    guard about.st_size <= limit else {
      throw .damaged(
        "\(escapedForTerminal(path)) has \(about.st_size) bytes, more than the \(limit) it can have",
        hint: "restore it from a backup")
    }
    return try Self.contents(of: file, path: path, atMost: limit)
  }

  private static func contents(
    of file: Int32, path: String, atMost limit: Int
  ) throws(AuthorityError) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .unusable(path, "can't be read", errno) }
      guard count > 0 else { return bytes }
      bytes += buffer.prefix(count)
      guard bytes.count <= limit else {
        throw .damaged("\(escapedForTerminal(path)) grows while it is read", hint: "try again")
      }
    }
  }

  /// Whether there is anything of this name, be it a file or not.
  func has(_ name: String) -> Bool {
    var about = stat()
    return fstatat(descriptor, name, &about, AT_SYMLINK_NOFOLLOW) == 0
  }

  /// Makes the names of its files survive a loss of power.
  func sync() throws(AuthorityError) {
    guard fsync(descriptor) == 0 else { throw .unusable(path, "can't be made durable", errno) }
  }

  /// Does something while no other process changes the folder; `shared` lets others look at the same time. What is locked is
  /// the folder itself, so that looking makes no file.
  func locked<Value>(
    shared: Bool = false, _ body: () throws(AuthorityError) -> Value
  ) throws(AuthorityError) -> Value {
    var waited = 0
    while flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 {
      let code = errno
      if code == EINTR { continue }
      guard code == EWOULDBLOCK else { throw .unusable(path, "can't be locked", code) }
      guard waited < 30_000 else {
        throw .unusable(
          path, "is being changed by another process for more than 30 seconds", code,
          hint: "see what that process waits for, and try again")
      }
      var pause = timespec(tv_sec: 0, tv_nsec: 10_000_000)
      nanosleep(&pause, nil)
      waited += 10
    }
    // Lifted, and not only let go of: a child that this process is just starting has the folder open until it runs.
    defer { flock(descriptor, LOCK_UN) }
    return try body()
  }
}
