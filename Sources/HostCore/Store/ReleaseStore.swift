import Glibc
import RolloutModel

/// The releases on a host: `ROOT/AGENT/releases/NAME/`, slots as links beside them, archives on their way in
/// `ROOT/AGENT/incoming/`. A release is there whole or not at all. Callers hold the agent's lock.
package struct ReleaseStore: Sendable {
  private let root: String
  /// The images of releases that are containers.
  let images: any Images

  /// A store below a folder, which need not exist yet.
  package init(root: String = "/opt/switchyard", images: any Images = PodmanImages()) {
    self.root = root
    self.images = images
  }

  /// The folder of an agent's slot, a link to the release in it.
  package func path(_ agent: AgentName, _ slot: Slot) -> String { "\(root)/\(agent.text)/\(slot.rawValue)" }

  /// The nearest folder above the releases that exists, for questions about free space.
  package var diskPath: String {
    var path = root[...]
    while access(String(path), F_OK) != 0, let slash = path.lastIndex(of: "/"), slash > path.startIndex {
      path = path[..<slash]
    }
    return access(String(path), F_OK) == 0 ? String(path) : "/"
  }

  /// Whether the release is in the store, unpacked from exactly this archive.
  package func contains(_ release: ReleaseManifest) throws(HostFailure) -> Bool {
    guard let releases = try folder(release.agent, "releases"),
      try FileTree.openFolder(release.storeName, in: releases) != nil
    else { return false }
    let stored = try readSmall(digestName(release), in: releases)
    guard stored == release.archive.hex else {
      throw HostFailure(
        .digestMismatch,
        "\(root)/\(release.agent)/releases/\(release.storeName) was not unpacked from the archive \(release.archive)",
        hint: "give the release another version, or remove that folder when no slot uses it")
    }
    guard release.container != nil else { return true }
    return try hasImage(release)
  }

  /// Bytes of the release's archive that need not be sent: all of them where it is in the store already.
  package func have(_ release: ReleaseManifest) throws(HostFailure) -> Int64 {
    if try contains(release) { return release.archiveBytes }
    guard let incoming = try folder(release.agent, "incoming") else { return 0 }
    return try partBytes(release, in: incoming)
  }

  /// Adds to the archive on its way in, which is to have exactly `offset` bytes so far, where that is given. Where the disk is
  /// full, what came so far is removed.
  package func append(
    _ release: ReleaseManifest, _ bytes: [UInt8], at offset: Int64? = nil
  ) throws(HostFailure) {
    let incoming = try FileTree.makeFolder("\(root)/\(release.agent.text)/incoming")
    let name = partName(release)
    let have = try partBytes(release, in: incoming)
    if let offset, offset != have {
      throw HostFailure(
        .staleBelief,
        "\(have) bytes are here of the archive of \(release.agent) \(release.version), not the \(offset) that came before",
        hint: "somebody else has sent or removed some of it; look at the host again")
    }
    guard have + Int64(bytes.count) <= release.archiveBytes else {
      try FileTree.remove(name, in: incoming)
      throw HostFailure(
        .digestMismatch,
        "more bytes came of the archive of \(release.agent) \(release.version) than the \(release.archiveBytes) announced"
      )
    }
    do throws(HostFailure) {
      if have == 0, try FileTree.free(at: incoming) < release.archiveBytes {
        throw systemFailure("receiving an archive of \(release.archiveBytes) bytes in \(root)", ENOSPC)
      }
      let number = openat(
        incoming.number, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
      guard number >= 0 else { throw systemFailure("making \(root)/\(release.agent)/incoming/\(name)") }
      let file = Descriptor(owning: number)
      try writeAll(file.number, bytes, what: "receiving an archive in \(root)/\(release.agent)/incoming")
    } catch {
      if error.code == .diskFull { try FileTree.remove(name, in: incoming) }
      throw error
    }
  }

  /// Verifies the archive, unpacks it and makes the release visible; done already, nothing happens. Whatever fails, nothing
  /// of it stays, and an archive that is not the one announced is removed.
  package func finish(_ release: ReleaseManifest, deadline: Span = .seconds(300)) throws(HostFailure) {
    let incoming = try FileTree.makeFolder("\(root)/\(release.agent.text)/incoming")
    let name = partName(release)
    if try contains(release) {
      try FileTree.remove(name, in: incoming)
      return
    }
    let limit = Deadline(in: deadline)
    do throws(HostFailure) {
      // An image that is fetched comes by another way, and Podman holds it to its digest.
      let isFetched = release.container?.image != nil
      let archive = isFetched ? nil : try verified(release, name, in: incoming)
      try unpack(release, archive, limit)
    } catch {
      // Given up for want of time, it may be tried again without sending the archive again.
      if error.code != .deadline && error.code != .notFound { try FileTree.remove(name, in: incoming) }
      throw error
    }
    try FileTree.remove(name, in: incoming)
  }

  /// Makes a slot's link lead to the release, in one atomic step.
  package func link(_ agent: AgentName, _ slot: Slot, to release: ReleaseManifest) throws(HostFailure) {
    guard try contains(release), let own = try folder(agent, nil) else {
      throw HostFailure(.notFound, "the release \(release.storeName) of \(agent) is not in \(root)")
    }
    let temporary = ".\(slot.rawValue).new"
    try FileTree.remove(temporary, in: own)
    guard symlinkat("releases/\(release.storeName)", own.number, temporary) == 0 else {
      throw systemFailure("linking \(path(agent, slot))")
    }
    try FileTree.rename(temporary, to: slot.rawValue, in: own)
  }

  /// Removes a slot's link; where there is none, nothing happens.
  package func unlink(_ agent: AgentName, _ slot: Slot) throws(HostFailure) {
    guard let own = try folder(agent, nil) else { return }
    try FileTree.remove(slot.rawValue, in: own)
    try FileTree.sync(own, what: "writing the folder \(root)/\(agent)")
  }

  /// Removes all that the store has of an agent.
  package func remove(_ agent: AgentName) throws(HostFailure) {
    guard access(root, F_OK) == 0 else { return }
    try collectImages(agent, keeping: [], fetched: try fetchedImages(agent, but: []))
    try FileTree.remove(agent.text, in: try FileTree.openFolder(root))
  }

  /// Removes releases, archives and remains of broken work that neither these releases nor the slots' links need.
  package func collectGarbage(_ agent: AgentName, keeping: [ReleaseManifest]) throws(HostFailure) {
    guard let own = try folder(agent, nil) else { return }
    var kept = keeping.map(\.storeName)
    for slot in Slot.allCases {
      if let target = try readLink(slot.rawValue, in: own) {
        kept.append(String(target.dropFirst("releases/".count)))
      }
    }
    let fetched = try fetchedImages(agent, but: kept)
    if let releases = try folder(agent, "releases") {
      let wanted = kept + kept.map { ".\($0).digest" }
      for name in try FileTree.names(in: releases) where !wanted.contains(name) {
        try FileTree.remove(name, in: releases)
      }
    }
    if let incoming = try folder(agent, "incoming") {
      let wanted = keeping.map(partName)
      for name in try FileTree.names(in: incoming) where !wanted.contains(name) {
        try FileTree.remove(name, in: incoming)
      }
    }
    try collectImages(agent, keeping: kept, fetched: fetched)
  }
}

extension ReleaseStore {
  /// All that the store has of an agent.
  func agentPath(_ agent: AgentName) -> String { "\(root)/\(agent.text)" }

  /// The images that were fetched for other releases than these.
  private func fetchedImages(_ agent: AgentName, but kept: [String]) throws(HostFailure) -> [Digest] {
    guard hasImages(agent), let releases = try folder(agent, "releases") else { return [] }
    var fetched: [Digest] = []
    for name in try FileTree.names(in: releases) where !kept.contains(name) {
      if let image = try fetchedImage(agent, name) { fetched.append(image) }
    }
    return fetched
  }

  /// The folders that are made for an agent, inner ones first.
  func folders(of agent: AgentName) -> [String] {
    let own = "\(root)/\(agent.text)"
    return ["\(own)/incoming", "\(own)/releases", own]
  }

  private func partName(_ release: ReleaseManifest) -> String { "\(release.archive.hex).part" }

  private func digestName(_ release: ReleaseManifest) -> String { ".\(release.storeName).digest" }

  /// A folder of an agent; nil where there is none.
  private func folder(_ agent: AgentName, _ name: String?) throws(HostFailure) -> Descriptor? {
    let path = "\(root)/\(agent.text)" + (name.map { "/\($0)" } ?? "")
    guard access(path, F_OK) == 0 else { return nil }
    return try FileTree.openFolder(path)
  }

  private func partBytes(_ release: ReleaseManifest, in incoming: Descriptor) throws(HostFailure) -> Int64 {
    var status = stat()
    guard fstatat(incoming.number, partName(release), &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      if errno == ENOENT { return 0 }
      throw systemFailure("looking for an archive on its way")
    }
    let isPlain = status.st_mode & S_IFMT == S_IFREG
    if isPlain && Int64(status.st_size) <= release.archiveBytes { return Int64(status.st_size) }
    try FileTree.remove(partName(release), in: incoming)
    return 0
  }

  /// The archive, open at its beginning, after its size and digest were found to be those announced.
  private func verified(
    _ release: ReleaseManifest, _ name: String, in incoming: Descriptor
  ) throws(HostFailure) -> Descriptor {
    let number = openat(incoming.number, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard number >= 0 else {
      throw HostFailure(.notFound, "nothing came yet of the archive of \(release.agent) \(release.version)")
    }
    let file = Descriptor(owning: number)
    let (digest, bytes) = try sha256(of: file)
    guard digest == release.archive else {
      throw HostFailure(
        .digestMismatch,
        "the archive of \(release.agent) \(release.version) arrived with digest \(digest) (\(bytes) bytes), "
          + "announced was \(release.archive) (\(release.archiveBytes) bytes)",
        hint: "nothing was unpacked; send it again, and compare the file with what its makers publish")
    }
    return file
  }

  private func unpack(
    _ release: ReleaseManifest, _ archive: Descriptor?, _ deadline: Deadline
  ) throws(HostFailure) {
    let releases = try FileTree.makeFolder("\(root)/\(release.agent.text)/releases")
    let temporary = ".\(release.storeName).new"
    try FileTree.remove(temporary, in: releases)
    do throws(HostFailure) {
      guard mkdirat(releases.number, temporary, 0o700) == 0,
        let tree = try FileTree.openFolder(temporary, in: releases)
      else { throw systemFailure("making \(root)/\(release.agent)/releases/\(temporary)") }
      try fill(
        tree, at: "\(agentPath(release.agent))/releases/\(temporary)", with: release, archive, deadline)
      guard fchmod(tree.number, 0o755) == 0 else { throw systemFailure("unpacking \(release.storeName)") }
      try FileTree.sync(tree, what: "writing the release to disk")
      try FileTree.write(Array(release.archive.hex.utf8), to: digestName(release), in: releases)
      // It is there only where its image was cleaned away by somebody.
      if release.container != nil { try FileTree.remove(release.storeName, in: releases) }
      try FileTree.rename(temporary, to: release.storeName, in: releases)
    } catch {
      try FileTree.remove(temporary, in: releases)
      throw error
    }
  }

  private func fill(
    _ tree: Descriptor, at path: String, with release: ReleaseManifest, _ archive: Descriptor?,
    _ deadline: Deadline
  ) throws(HostFailure) {
    guard release.container == nil else {
      let packed = archive.map {
        (file: $0, path: "\(agentPath(release.agent))/incoming/\(partName(release))")
      }
      return try takeIn(release, packed, into: tree, at: path, deadline)
    }
    guard let archive else { throw HostFailure(.invalid, "a release that is no image needs an archive") }
    let (source, _) = try source(of: archive, release, deadline)
    var unpacker = Unpacker(root: tree, strip: release.strip)
    try unpacker.unpack(TarReader(BoundedReader(source, limit: sizeLimit(release))))
    try checkProgram(release, in: tree)
  }

  /// The archive without its packing, and whether it has none.
  func source(
    of archive: Descriptor, _ release: ReleaseManifest, _ deadline: Deadline
  ) throws(HostFailure) -> (source: any ByteSource, isPlain: Bool) {
    let magic =
      try readOnce(archive.number, limit: ArchiveFormat.magicLength, what: "reading the archive") ?? []
    guard lseek(archive.number, 0, SEEK_SET) == 0 else { throw systemFailure("reading the archive") }
    guard let format = ArchiveFormat(magic: magic) else {
      throw HostFailure(
        .archiveRefused, "the archive of \(release.agent) \(release.version) is no tar archive",
        hint: "packed as .tar, .tar.gz, .tar.xz or .tar.zst it would be understood")
    }
    guard let argv = format.decompressor else { return (FileSource(archive, deadline: deadline), true) }
    return (try DecompressedSource(argv, of: archive, deadline: deadline), false)
  }

  /// Programs shrink to a third or a tenth; what grows more than this is a bomb, however big the disk.
  func sizeLimit(_ release: ReleaseManifest) -> Int64 {
    let (bound, over) = release.archiveBytes.multipliedReportingOverflow(by: 200)
    return min(max(over ? .max : bound, 512 << 20), 64 << 30)
  }

  /// The program that the unit is to run must be there; links inside the release may lead to it.
  private func checkProgram(_ release: ReleaseManifest, in tree: Descriptor) throws(HostFailure) {
    func refused(_ why: String) -> HostFailure {
      HostFailure(
        .archiveRefused, "exec \"\(escapedForTerminal(release.exec))\" \(why)",
        hint: "exec is the program's path inside the archive, after strip: \(release.strip)")
    }
    guard let path = try EntryPath(entry: Array(release.exec.utf8), strip: 0), path.name != nil else {
      throw refused("is no path inside the release")
    }
    var status = stat()
    guard fstatat(tree.number, release.exec, &status, 0) == 0 else { throw refused("is not in the archive") }
    guard status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o111 != 0 else {
      throw refused("is no executable file")
    }
  }

  private func readSmall(_ name: String, in folder: Descriptor) throws(HostFailure) -> String {
    let number = openat(folder.number, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard number >= 0 else { return "" }
    let file = Descriptor(owning: number)
    return String(
      decoding: try readOnce(file.number, limit: 4096, what: "reading \(name)") ?? [], as: UTF8.self)
  }

  private func readLink(_ name: String, in folder: Descriptor) throws(HostFailure) -> String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlinkat(folder.number, name, &buffer, buffer.count)
    guard count >= 0 else {
      if errno == ENOENT || errno == EINVAL { return nil }
      throw systemFailure("reading the link \(name)")
    }
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
