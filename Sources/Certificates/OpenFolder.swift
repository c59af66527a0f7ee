import Glibc
import RolloutModel

/// A folder held open. Files are reached through it, so that nobody who moves folders about leads them elsewhere; a link in
/// place of a folder or file is refused.
final class OpenFolder: Sendable {
  /// Who else may get at the folder.
  enum Privacy {
    /// Nobody: keys are in it.
    case ownerAlone
    /// Others may read what its files allow them to; nobody else may put files in another's place.
    case writtenByOwnerAlone
  }

  /// For messages.
  let path: String
  let descriptor: Int32

  private init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Opens a folder by its path; nil where there is nothing of that name.
  static func open(_ path: String, _ privacy: Privacy) throws(AuthorityError) -> OpenFolder? {
    let path = try checked(path)
    return try open(path, in: AT_FDCWD, path: path, privacy)
  }

  /// Opens a folder of this one, made where it is missing.
  func folder(_ name: String, _ privacy: Privacy) throws(AuthorityError) -> OpenFolder {
    let path = path(of: name)
    if mkdirat(descriptor, name, 0o700) != 0, errno != EEXIST {
      throw .unusable(path, "can't be made", errno)
    }
    guard let folder = try Self.open(name, in: descriptor, path: path, privacy) else {
      throw .unusable(path, "went away while it was opened", ENOENT, hint: "try again")
    }
    return folder
  }

  /// A path without the slashes at its end, behind which a link would be followed.
  static func checked(_ path: String) throws(AuthorityError) -> String {
    var trimmed = Substring(path)
    while trimmed.utf8.count > 1, trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
    // What C would read only up to a zero byte is another path.
    guard !trimmed.isEmpty, !trimmed.utf8.contains(0) else {
      throw .refused("“\(escapedForTerminal(path))” names no folder", hint: "name one")
    }
    return String(trimmed)
  }

  func path(of name: String) -> String { path == "/" ? path + name : "\(path)/\(name)" }

  private static func open(
    _ name: String, in parent: Int32, path: String, _ privacy: Privacy
  ) throws(AuthorityError) -> OpenFolder? {
    let descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else {
      let code = errno
      guard code != ENOENT else { return nil }
      guard !isLink(name, in: parent) else {
        throw .refused(
          "\(escapedForTerminal(path)) is a link, which may lead elsewhere tomorrow",
          hint: "name the folder itself")
      }
      throw .unusable(path, "can't be opened as a folder", code)
    }
    let folder = OpenFolder(path: path, descriptor: descriptor)
    try folder.check(privacy)
    return folder
  }

  private func check(_ privacy: Privacy) throws(AuthorityError) {
    var about = stat()
    guard fstat(descriptor, &about) == 0 else { throw .unusable(path, "can't be looked at", errno) }
    switch privacy {
    case .ownerAlone:
      guard about.st_uid == geteuid() else {
        throw .refused(
          "\(escapedForTerminal(path)) belongs to user \(about.st_uid)", hint: "run this as that user")
      }
      guard about.st_mode & 0o077 == 0 else {
        throw .damaged(
          "\(escapedForTerminal(path)) is open to other users (mode \(String(about.st_mode & 0o7777, radix: 8)))",
          hint: "see who was in it, then `chmod 700` it")
      }
    case .writtenByOwnerAlone:
      guard about.st_mode & 0o022 == 0 else {
        throw .refused(
          "\(escapedForTerminal(path)) may be written to by other users (mode \(String(about.st_mode & 0o7777, radix: 8)))",
          hint: "name a folder that only its owner may write to")
      }
    }
  }

  private static func isLink(_ name: String, in parent: Int32) -> Bool {
    var about = stat()
    return fstatat(parent, name, &about, AT_SYMLINK_NOFOLLOW) == 0 && about.st_mode & S_IFMT == S_IFLNK
  }
}
