import Glibc
import RolloutModel

/// Releases that are container images. In the store there is, in place of an unpacked tree, a folder that says which image it
/// is; the image itself is Podman's to keep, under a name of ours.
extension ReleaseStore {
  /// The file in a release's folder that names its image; a second line says that it was fetched here for us.
  private static let record = "image"
  /// The archive without its packing, while it is taken in.
  private static let plainArchive = "archive.tar"
  /// In an agent's folder as long as there may be images of it.
  private static let mark = "images"

  /// The image of a release that is in the store.
  func image(of release: ReleaseManifest) throws(HostFailure) -> Digest {
    guard let found = try recorded(release.agent, release.storeName) else {
      throw HostFailure(
        .notFound, "which image \(release.agent) \(release.version) is can't be told any more",
        hint: "roll it out again")
    }
    return found.image
  }

  /// Whether the release's image is still here; somebody may have cleaned up.
  func hasImage(_ release: ReleaseManifest) throws(HostFailure) -> Bool {
    guard let found = try recorded(release.agent, release.storeName) else { return false }
    return try images.has(found.image, try ImageName(release.agent, storeName: release.storeName))
  }

  /// Whether there may be images of the agent.
  func hasImages(_ agent: AgentName) -> Bool { access(markPath(agent), F_OK) == 0 }

  /// Takes the release's image in, and writes which it is into `tree`, the folder at `path`. `archive` lies at `archivePath`; nil
  /// for an image that is fetched.
  func takeIn(
    _ release: ReleaseManifest, _ archive: (file: Descriptor, path: String)?, into tree: Descriptor,
    at path: String,
    _ deadline: Deadline
  ) throws(HostFailure) {
    let own = try FileTree.makeFolder(agentPath(release.agent))
    try FileTree.write([], to: Self.mark, in: own)
    let name = try ImageName(release.agent, storeName: release.storeName)
    var lines: [String]
    if let archive {
      lines = [try load(release, archive, as: name, into: tree, at: path, deadline).hex]
      try FileTree.remove(Self.plainArchive, in: tree)
    } else if let reference = release.container?.image, reference.digest == release.archive {
      let fetched = try images.fetch(reference, as: name, deadline: deadline)
      lines = [fetched.image.hex] + (fetched.isNew ? ["fetched"] : [])
    } else {
      throw HostFailure(.invalid, "the release names no image that could be fetched")
    }
    try FileTree.write(Array((lines.joined(separator: "\n") + "\n").utf8), to: Self.record, in: tree)
  }

  private func load(
    _ release: ReleaseManifest, _ archive: (file: Descriptor, path: String), as name: ImageName,
    into tree: Descriptor,
    at path: String, _ deadline: Deadline
  ) throws(HostFailure) -> Digest {
    let (source, isPlain) = try source(of: archive.file, release, deadline)
    var plain = (file: archive.file, path: archive.path)
    if !isPlain {
      try writePlain(source, release, in: tree)
      plain = (try FileTree.openFile("\(path)/\(Self.plainArchive)"), "\(path)/\(Self.plainArchive)")
    }
    let announced = try ImageArchive(
      TarReader(BoundedReader(FileSource(plain.file, deadline: deadline), limit: sizeLimit(release))))
    try announced.check(runsOn: SystemFacts.kernel().architecture)
    let image = try images.load(announced.form, at: plain.path, as: name, deadline: deadline)
    guard image == announced.image else {
      try images.remove(name)
      throw HostFailure(
        .digestMismatch, "podman made the image \(image) of an archive that holds \(announced.image)",
        hint: "the archive can be read in two ways; save it anew")
    }
    return image
  }

  /// Podman reads only what is not packed.
  private func writePlain(
    _ source: any ByteSource, _ release: ReleaseManifest, in tree: Descriptor
  ) throws(HostFailure) {
    let number = openat(
      tree.number, Self.plainArchive, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard number >= 0 else { throw systemFailure("unpacking the archive of \(release.agent)") }
    let file = Descriptor(owning: number)
    var reader = BoundedReader(source, limit: sizeLimit(release))
    while true {
      let piece = try reader.some(128 * 1024)
      if piece.isEmpty { return }
      try writeAll(file.number, piece, what: "unpacking the archive of \(release.agent)")
    }
  }

  /// The images of releases that are about to be removed from the store and that were fetched for us alone.
  func fetchedImage(_ agent: AgentName, _ storeName: String) throws(HostFailure) -> Digest? {
    guard let found = try recorded(agent, storeName), found.isFetched else { return nil }
    return found.image
  }

  /// Removes the agent's images but those of the releases that the store knows by these names.
  func collectImages(
    _ agent: AgentName, keeping kept: [String], fetched: [Digest]
  ) throws(HostFailure) {
    guard hasImages(agent) else { return }
    var wanted: [ImageName] = []
    for name in kept { wanted.append(try ImageName(agent, storeName: name)) }
    var stays = false
    do throws(HostFailure) {
      for name in try images.names(of: agent) {
        if wanted.contains(name) { stays = true } else { try images.remove(name) }
      }
      for image in fetched { try images.removeUnused(image) }
    } catch  where error.code == .notFound {
      // Podman itself was removed: there is nobody who could keep an image.
    }
    if !stays { try FileTree.remove(Self.mark, in: try FileTree.openFolder(agentPath(agent))) }
  }

  private func markPath(_ agent: AgentName) -> String { "\(agentPath(agent))/\(Self.mark)" }

  private func recorded(
    _ agent: AgentName, _ storeName: String
  ) throws(HostFailure) -> (image: Digest, isFetched: Bool)? {
    let path = "\(agentPath(agent))/releases/\(storeName)/\(Self.record)"
    guard access(path, F_OK) == 0 else { return nil }
    let lines = String(decoding: try read(path), as: UTF8.self).split(separator: "\n")
    guard let first = lines.first, let image = Digest(String(first)) else { return nil }
    return (image, lines.dropFirst().contains("fetched"))
  }
}
