import Glibc
import RolloutModel

/// Writes an archive's entries below one new folder that nobody else writes to. Refuses whatever would lead out of it.
struct Unpacker {
  /// The most entries of one archive.
  private static let entryLimit = 200_000

  private let root: Descriptor
  private let strip: Int
  /// What was unpacked so far, for each path: an entry never replaces or goes through anything but folders.
  private var made: [EntryPath: TarEntry.Kind] = [:]
  /// Files and folders in the order in which they were made.
  private var toSync: [EntryPath] = []
  private var entries = 0

  init(root: Descriptor, strip: Int) {
    self.root = root
    self.strip = strip
  }

  /// Unpacks all, and makes it durable.
  mutating func unpack(_ reader: TarReader) throws(HostFailure) {
    var reader = reader
    while let entry = try reader.next() {
      entries += 1
      guard entries <= Self.entryLimit else {
        throw HostFailure(.archiveRefused, "the archive has more than \(Self.entryLimit) entries")
      }
      try write(entry, &reader)
    }
    guard !made.isEmpty else {
      throw HostFailure(
        .archiveRefused, "nothing is left of the archive after dropping \(strip) leading folders")
    }
    try sync()
  }

  /// Makes all durable at the end, not file by file: the first call then writes most of what the others ask for.
  private func sync() throws(HostFailure) {
    for path in toSync {
      guard let parent = path.parent, let name = path.name else { continue }
      let folder = try open(parent)
      let number = openat(
        folder.number, String(decoding: name, as: UTF8.self), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
      guard number >= 0 else { throw systemFailure("writing \(path.shown) to disk") }
      try FileTree.sync(Descriptor(owning: number), what: "writing \(path.shown) to disk")
    }
    try FileTree.sync(root, what: "writing the release to disk")
  }

  private mutating func write(_ entry: TarEntry, _ reader: inout TarReader) throws(HostFailure) {
    guard entry.mode & 0o7000 == 0 || entry.kind == .symbolicLink else {
      throw HostFailure(
        .archiveRefused, "\(shown(path: entry.path)) in the archive is setuid, setgid or sticky",
        hint: "pack it without such modes")
    }
    // Nothing is left of leading folders that are dropped, nor of the archive's own root ("./").
    guard let path = try EntryPath(entry: entry.path, strip: strip), let parent = path.parent,
      let name = path.name
    else { return }
    let folder = try folder(parent)
    let text = String(decoding: name, as: UTF8.self)
    if let earlier = made[path] {
      guard earlier == .folder && entry.kind == .folder else {
        throw refused(path, "is in the archive twice, or would take the place of something else")
      }
      return
    }
    switch entry.kind {
    case .folder: try makeFolder(text, in: folder, path)
    case .file: try writeFile(text, in: folder, entry, path, &reader)
    case .symbolicLink: try makeLink(text, in: folder, entry, path)
    case .hardLink: try makeHardLink(text, in: folder, entry, path)
    }
    made[path] = entry.kind == .hardLink ? .file : entry.kind
    if entry.kind == .file || entry.kind == .folder { toSync.append(path) }
  }

  /// Opens a folder of the tree step by step, making those that the archive names only within longer paths.
  private mutating func folder(_ path: EntryPath) throws(HostFailure) -> Descriptor {
    guard let parent = path.parent, let name = path.name else { return root }
    switch made[path] {
    case .folder: break
    case nil:
      try makeFolder(String(decoding: name, as: UTF8.self), in: try folder(parent), path)
      made[path] = .folder
      toSync.append(path)
    case .file, .symbolicLink, .hardLink:
      throw refused(path, "is a file or link, and an entry goes through it")
    }
    return try open(path)
  }

  private func open(_ path: EntryPath) throws(HostFailure) -> Descriptor {
    var folder = root
    for component in path.components {
      guard let next = try FileTree.openFolder(String(decoding: component, as: UTF8.self), in: folder) else {
        throw HostFailure(.system, "\(path.shown) vanished while the release was unpacked")
      }
      folder = next
    }
    return folder
  }

  private func makeFolder(_ name: String, in folder: Descriptor, _ path: EntryPath) throws(HostFailure) {
    guard mkdirat(folder.number, name, 0o755) == 0, fchmodat(folder.number, name, 0o755, 0) == 0 else {
      throw systemFailure("unpacking \(path.shown)")
    }
  }

  private func writeFile(
    _ name: String, in folder: Descriptor, _ entry: TarEntry, _ path: EntryPath, _ reader: inout TarReader
  ) throws(HostFailure) {
    guard try FileTree.free(at: root) >= entry.size else {
      throw systemFailure("unpacking \(path.shown)", ENOSPC)
    }
    let number = openat(folder.number, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
    guard number >= 0 else { throw systemFailure("unpacking \(path.shown)") }
    let file = Descriptor(owning: number)
    while true {
      let piece = try reader.content(128 * 1024)
      if piece.isEmpty { break }
      try writeAll(file.number, piece, what: "unpacking \(path.shown)")
    }
    // The owner stays this process' own; of the mode only whether it is a program counts.
    guard fchmod(file.number, entry.mode & 0o111 == 0 ? 0o644 : 0o755) == 0 else {
      throw systemFailure("unpacking \(path.shown)")
    }
  }

  private func makeLink(
    _ name: String, in folder: Descriptor, _ entry: TarEntry, _ path: EntryPath
  ) throws(HostFailure) {
    guard try path.admits(target: entry.target) else {
      throw refused(path, "is a link to \(shown(path: entry.target)), which may lead out of the release")
    }
    guard symlinkat(String(decoding: entry.target, as: UTF8.self), folder.number, name) == 0 else {
      throw systemFailure("unpacking \(path.shown)")
    }
  }

  private mutating func makeHardLink(
    _ name: String, in folder: Descriptor, _ entry: TarEntry, _ path: EntryPath
  ) throws(HostFailure) {
    guard let target = try EntryPath(entry: entry.target, strip: strip), let parent = target.parent,
      let targetName = target.name, made[target] == .file
    else {
      throw refused(path, "is a link to \(shown(path: entry.target)), which is no file unpacked before it")
    }
    let targetFolder = try self.folder(parent)
    let text = String(decoding: targetName, as: UTF8.self)
    guard linkat(targetFolder.number, text, folder.number, name, 0) == 0 else {
      throw systemFailure("unpacking \(path.shown)")
    }
  }

  private func refused(_ path: EntryPath, _ why: String) -> HostFailure {
    HostFailure(.archiveRefused, "\(path.shown) in the archive \(why)")
  }
}
