import CoreFoundation
import FoundationEssentials
import Glibc
import HTTPTypes
import RolloutModel
import SystemPackage

/// A folder that the agent keeps files in. The agents of both slots share it. All of this blocks.
struct StateFolder: Sendable {
  let path: String

  /// One file in it.
  struct Entry: Hashable, Sendable {
    let name: String
    /// What it takes of the disk, reserved room included.
    let bytes: Int64
    /// When it was last written or asked for, in seconds since 1970.
    let modified: Int
  }

  /// The path of a file in it. Names come from checked identifiers, never as a client wrote them.
  func path(_ name: String) -> String { "\(path)/\(name)" }

  /// Makes the folder where it is not there.
  func make() throws(AgentError) {
    guard mkdir(path, 0o700) != 0, errno != EEXIST else { return }
    throw Self.failure("the folder \(path) can't be made", Errno(rawValue: errno))
  }

  /// Its files, oldest first; none where it is not there.
  func entries() throws(AgentError) -> [Entry] {
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: path) } catch {
      if access(path, F_OK) != 0, errno == ENOENT { return [] }
      throw Self.failure("the folder \(path) can't be read", Errno(rawValue: errno))
    }
    return names.compactMap { name in
      // One that is gone by now is none any more.
      guard let state = try? Stat(FilePath(self.path(name)), followTargetSymlink: false) else { return nil }
      let bytes = max(state.size, state.sizeAllocated)
      return Entry(name: name, bytes: bytes, modified: Int(state.st_mtim.tv_sec))
    }.sorted { ($0.modified, $0.name) < ($1.modified, $1.name) }
  }

  /// Removes a file, if it is there.
  func remove(_ name: String) throws(AgentError) {
    guard unlink(path(name)) != 0, errno != ENOENT else { return }
    throw Self.failure("\(path(name)) can't be removed", Errno(rawValue: errno))
  }

  /// Makes what was renamed or removed last.
  func sync() throws(AgentError) {
    do {
      let folder = try OpenFile(path, .readOnly, options: [.directory])
      guard fsync(folder.descriptor.rawValue) == 0 else { throw Errno(rawValue: errno) }
    } catch {
      throw Self.failure("the folder \(path) can't be written", error as? Errno ?? .ioError)
    }
  }

  /// Seconds since 1970.
  static func now() -> Int { Int(time(nil)) }

  /// What is told when a file of the agent's own could not be used.
  static func failure(_ what: String, _ error: Errno) -> AgentError {
    let why = escapedForTerminal("\(what): \(error)")
    guard error != .noSpace else {
      return AgentError(
        HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage"), "disk_full", why,
        hint: "make room on the host's disk")
    }
    return AgentError(
      .serviceUnavailable, "state_unavailable", why,
      hint: "the folder is the configuration's state; its unit's StateDirectory= makes it")
  }
}

/// An open file, closed at the end of its life.
final class OpenFile: Sendable {
  let descriptor: FileDescriptor

  init(
    _ path: String, _ mode: FileDescriptor.AccessMode, options: FileDescriptor.OpenOptions = []
  ) throws {
    descriptor = try FileDescriptor.open(
      FilePath(path), mode, options: options.union([.noFollow, .closeOnExec]),
      permissions: [.ownerReadWrite])
  }

  deinit {
    // Lifted, and not only let go of: a child that is just being started has the file open until it runs.
    flock(descriptor.rawValue, LOCK_UN)
    // All that could still fail is to be told of what was written, which was synced where it counts.
    try? descriptor.close()
  }

  /// Takes the lock of the file without waiting; false where another open file has it.
  func lock(shared: Bool = false) throws -> Bool {
    while flock(descriptor.rawValue, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 {
      switch errno {
      case EINTR: continue
      case EWOULDBLOCK: return false
      default: throw Errno(rawValue: errno)
      }
    }
    return true
  }

  /// Whether the path still leads to this file.
  func isStill(at path: String) -> Bool {
    // One that can't be looked at is not ours any more.
    guard let own = try? Stat(descriptor), let there = try? Stat(FilePath(path), followTargetSymlink: false)
    else { return false }
    return own.inode == there.inode && own.deviceID == there.deviceID
  }

  var size: Int64 { get throws { try Stat(descriptor).size } }

  /// Some bytes from a place on; none at the file's end.
  func read(_ count: Int, at offset: Int64) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try bytes.withUnsafeMutableBytes { try descriptor.read(fromAbsoluteOffset: offset, into: $0) }
    return Array(bytes.prefix(got))
  }

  /// Writes all of the bytes from a place on.
  func write(_ bytes: [UInt8], at offset: Int64) throws {
    var done = 0
    while done < bytes.count {
      done += try bytes[done...].withUnsafeBytes {
        try descriptor.write(toAbsoluteOffset: offset + Int64(done), $0)
      }
    }
  }
}
