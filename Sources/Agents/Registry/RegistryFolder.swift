import CoreFoundation
import Glibc
import RolloutModel

/// The state folder, held open for one operation on the registry.
final class RegistryFolder {
  private let path: String
  private let descriptor: Int32
  private var lockFile: Int32 = -1

  /// Opens the folder; nil where there is none and none is to be made.
  static func open(_ path: String, makes: Bool) throws(RegistryError) -> RegistryFolder? {
    if makes { try make(path) }
    let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT, !makes { return nil }
      throw .unusable(path, "can't be opened", errno)
    }
    return RegistryFolder(path: path, descriptor: descriptor)
  }

  private init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  deinit {
    if lockFile >= 0 { close(lockFile) }
    close(descriptor)
  }

  /// Waits until no other process changes the registry; the lock lasts as long as this value.
  func lock(_ name: String, within span: Span) throws(RegistryError) {
    lockFile = openat(descriptor, name, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard lockFile >= 0 else { throw .unusable("\(path)/\(name)", "can't be opened", errno) }
    var waited: Int64 = 0
    while flock(lockFile, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR, waited < span.milliseconds else {
        throw .unusable("\(path)/\(name)", "is held by another process", errno)
      }
      usleep(10_000)
      waited += 10
    }
  }

  /// What a file says; nil where there is none. One that others may read or write is refused.
  func read(_ name: String, atMost limit: Int) throws(RegistryError) -> [UInt8]? {
    let file = openat(descriptor, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw .unusable("\(path)/\(name)", "can't be opened", errno)
    }
    defer { close(file) }
    var about = stat()
    guard fstat(file, &about) == 0 else { throw .unusable("\(path)/\(name)", "can't be looked at", errno) }
    guard about.st_mode & S_IFMT == S_IFREG, about.st_mode & 0o077 == 0, Int(about.st_size) <= limit else {
      throw RegistryError(
        .damaged,
        "\(path)/\(name) is no file of this user alone (mode \(String(about.st_mode & 0o7777, radix: 8)))",
        hint: "see who changed it, then `chmod 600` it")
    }
    var bytes = [UInt8](repeating: 0, count: Int(about.st_size))
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeMutableBytes {
        Glibc.read(file, $0.baseAddress.map { $0 + done }, $0.count - done)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .unusable("\(path)/\(name)", "can't be read", count < 0 ? errno : EIO) }
      done += count
    }
    return bytes
  }

  /// Replaces a file: temporary name, fsync, rename, fsync of the folder.
  func replace(_ name: String, with bytes: [UInt8]) throws(RegistryError) {
    let temporary = ".\(name).new"
    unlinkat(descriptor, temporary, 0)
    let file = openat(descriptor, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw .unusable("\(path)/\(name)", "can't be made", errno) }
    defer { close(file) }
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(file, $0.baseAddress.map { $0 + done }, $0.count - done)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(name, temporary) }
      done += count
    }
    guard fsync(file) == 0, renameat(descriptor, temporary, descriptor, name) == 0, fsync(descriptor) == 0
    else {
      throw failure(name, temporary)
    }
  }

  private func failure(_ name: String, _ temporary: String) -> RegistryError {
    let code = errno
    unlinkat(descriptor, temporary, 0)
    return .unusable("\(path)/\(name)", "can't be written", code)
  }

  /// Makes the folder, for its owner alone, and those above it.
  private static func make(_ path: String) throws(RegistryError) {
    var made = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      made += made.isEmpty || made.hasSuffix("/") ? String(part) : "/\(part)"
      guard mkdir(made, 0o700) != 0, errno != EEXIST else { continue }
      throw .unusable(made, "can't be made", errno)
    }
  }
}
