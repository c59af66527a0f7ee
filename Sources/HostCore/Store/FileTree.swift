import Glibc
import RolloutModel

/// Folders reached through descriptors only, never through a symbolic link.
enum FileTree {
  /// Opens a folder; throws `.notFound` where there is none.
  static func openFolder(_ path: String) throws(HostFailure) -> Descriptor {
    let number = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    guard number >= 0 else {
      throw errno == ENOENT
        ? HostFailure(.notFound, "there is no folder \(path)") : systemFailure("opening the folder \(path)")
    }
    return Descriptor(owning: number)
  }

  /// Opens a folder in a folder; nil where there is none.
  static func openFolder(_ name: String, in folder: Descriptor) throws(HostFailure) -> Descriptor? {
    let number = openat(folder.number, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    if number >= 0 { return Descriptor(owning: number) }
    if errno == ENOENT { return nil }
    throw systemFailure("opening the folder \(escapedForTerminal(name))")
  }

  /// Makes the folder and those above it where they are missing, readable by all whatever the umask, and opens it.
  static func makeFolder(_ path: String) throws(HostFailure) -> Descriptor {
    var made = ""
    for part in path.split(separator: "/") {
      let above = made
      made += "/\(part)"
      if mkdir(made, 0o755) == 0 {
        guard chmod(made, 0o755) == 0 else { throw systemFailure("making the folder \(made)") }
        try sync(try openFolder(above + "/"), what: "making the folder \(made)")
      } else if errno != EEXIST {
        throw systemFailure("making the folder \(made)")
      }
    }
    return try openFolder(path)
  }

  /// The names in a folder, in the order of their bytes.
  static func names(in folder: Descriptor) throws(HostFailure) -> [String] {
    let copy = openat(folder.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0, let stream = fdopendir(copy) else {
      if copy >= 0 { close(copy) }
      throw systemFailure("reading a folder")
    }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        guard errno == 0 else { throw systemFailure("reading a folder") }
        return names.sorted()
      }
      // d_name is a C array, a tuple in Swift; the kernel ends it with a zero byte.
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
  }

  /// Removes what has this name in a folder, whole trees too; links are removed, not followed. True where there was
  /// something.
  @discardableResult
  static func remove(_ name: String, in folder: Descriptor) throws(HostFailure) -> Bool {
    if unlinkat(folder.number, name, 0) == 0 { return true }
    if errno == ENOENT { return false }
    guard errno == EISDIR || errno == EPERM else {
      throw systemFailure("removing \(escapedForTerminal(name))")
    }
    guard let inner = try openFolder(name, in: folder) else { return false }
    for entry in try names(in: inner) { try remove(entry, in: inner) }
    guard unlinkat(folder.number, name, AT_REMOVEDIR) == 0 || errno == ENOENT else {
      throw systemFailure("removing the folder \(escapedForTerminal(name))")
    }
    return true
  }

  /// Removes a folder that has nothing in it; any other stays.
  static func removeIfEmpty(_ path: String) throws(HostFailure) {
    // A mount point stays.
    guard rmdir(path) == 0 || [ENOENT, ENOTEMPTY, EEXIST, EBUSY].contains(errno) else {
      throw systemFailure("removing the empty folder \(path)")
    }
  }

  /// Opens a file, through links too.
  static func openFile(_ path: String) throws(HostFailure) -> Descriptor {
    let number = open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { throw systemFailure("opening \(path)") }
    return Descriptor(owning: number)
  }

  /// Whether a file holds the same as this one. Size and time, which ``copy(_:to:in:mode:)`` keeps, are enough to say so:
  /// comparing a large program's bytes with each upgrade would cost more than all the rest. Where only the time differs the
  /// bytes decide, and the time is brought in line.
  static func isCopy(_ name: String, in folder: Descriptor, of source: Descriptor) throws(HostFailure) -> Bool
  {
    let number = openat(folder.number, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard number >= 0 else {
      if errno == ENOENT || errno == ELOOP { return false }
      throw systemFailure("opening \(name)")
    }
    let file = Descriptor(owning: number)
    var there = stat()
    var here = stat()
    guard fstat(source.number, &here) == 0, fstat(file.number, &there) == 0 else {
      throw systemFailure("looking at \(name)")
    }
    guard there.st_mode & S_IFMT == S_IFREG, there.st_size == here.st_size else { return false }
    if there.st_mtim.tv_sec == here.st_mtim.tv_sec, there.st_mtim.tv_nsec == here.st_mtim.tv_nsec {
      return true
    }
    guard lseek(source.number, 0, SEEK_SET) == 0 else { throw systemFailure("reading what is compared") }
    while true {
      let mine = try readOnce(source.number, limit: pieceSize, what: "reading what \(name) is compared with")
      guard mine == (try readOnce(file.number, limit: pieceSize, what: "reading \(name)")) else {
        return false
      }
      if mine?.isEmpty ?? true { break }
    }
    guard futimens(file.number, [here.st_atim, here.st_mtim]) == 0 else {
      throw systemFailure("setting the time of \(name)")
    }
    return true
  }

  private static let pieceSize = 256 * 1024

  /// Copies a file with its time, whole or not at all.
  static func copy(
    _ source: Descriptor, to name: String, in folder: Descriptor, mode: mode_t
  ) throws(HostFailure) {
    var status = stat()
    guard fstat(source.number, &status) == 0 else { throw systemFailure("looking at what is to be copied") }
    guard lseek(source.number, 0, SEEK_SET) == 0 else { throw systemFailure("reading what is to be copied") }
    try place(name, in: folder, mode: mode) { file throws(HostFailure) in
      while let piece = try readOnce(source.number, limit: pieceSize, what: "copying to \(name)"),
        !piece.isEmpty
      {
        try writeAll(file.number, piece, what: "writing \(name)")
      }
      guard futimens(file.number, [status.st_atim, status.st_mtim]) == 0 else {
        throw systemFailure("writing \(name)")
      }
    }
  }

  /// Writes a whole file: temporary name, fsync, rename, fsync of the folder.
  /// Where `readers` is given, that group owns it before it has its name.
  static func write(
    _ bytes: [UInt8], to name: String, in folder: Descriptor, mode: mode_t = 0o644, readers: gid_t? = nil
  ) throws(HostFailure) {
    try place(name, in: folder, mode: mode) { file throws(HostFailure) in
      // Before there is anything in it: until then its own group may be any.
      if let readers, fchown(file.number, uid_t.max, readers) != 0 { throw systemFailure("writing \(name)") }
      try writeAll(file.number, bytes, what: "writing \(name)")
    }
  }

  private static func place(
    _ name: String, in folder: Descriptor, mode: mode_t,
    _ fill: (Descriptor) throws(HostFailure) -> Void
  ) throws(HostFailure) {
    let temporary = ".\(name).new"
    try remove(temporary, in: folder)
    let number = openat(folder.number, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    guard number >= 0 else { throw systemFailure("making \(name)") }
    let file = Descriptor(owning: number)
    do throws(HostFailure) {
      try fill(file)
      guard fchmod(file.number, mode) == 0, fsync(file.number) == 0 else {
        throw systemFailure("writing \(name)")
      }
    } catch {
      unlinkat(folder.number, temporary, 0)
      throw error
    }
    try rename(temporary, to: name, in: folder)
  }

  /// Gives what has one name in a folder another one, in place of what had that, durably.
  static func rename(_ old: String, to new: String, in folder: Descriptor) throws(HostFailure) {
    guard renameat(folder.number, old, folder.number, new) == 0 else {
      throw systemFailure("renaming to \(new)")
    }
    try sync(folder, what: "writing the folder of \(new)")
  }

  /// Makes a file's or folder's content durable.
  static func sync(_ file: Descriptor, what: String) throws(HostFailure) {
    guard fsync(file.number) == 0 else { throw systemFailure(what) }
  }

  /// Bytes that are free on a folder's file system.
  static func free(at folder: Descriptor) throws(HostFailure) -> Int64 {
    var status = statvfs()
    guard fstatvfs(folder.number, &status) == 0 else { throw systemFailure("asking for free disk space") }
    let (bytes, over) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return over ? Int64.max : Int64(clamping: bytes)
  }
}
