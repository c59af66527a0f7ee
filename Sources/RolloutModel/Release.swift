/// A release as the controller knows it: one version, an archive per architecture, and how it is run.
public struct Release: Hashable, Sendable, Codable {
  /// The version as its makers write it.
  public var version: Version
  /// One archive per architecture, sorted by it; a single one with an empty architecture fits every host.
  public var archives: [ReleaseArchive]

  /// A release from its parts.
  public init(version: Version, archives: [ReleaseArchive]) {
    self.version = version
    self.archives = archives
  }

  /// The archive for a host's architecture (`x86_64`, `aarch64`); nil where there is none.
  public func archive(for architecture: String) -> ReleaseArchive? {
    archives.first(where: { $0.architecture == architecture })
      ?? archives.first(where: { $0.architecture.isEmpty })
  }
}

/// One archive file of a release.
public struct ReleaseArchive: Hashable, Sendable, Codable {
  /// As `uname -m` says it; empty fits every host.
  public var architecture: String
  /// Where the controller reads the file; empty for an image that hosts fetch from its registry.
  public var path: String
  /// The file's digest; the image's own where hosts fetch it.
  public var digest: Digest
  /// The file's size in bytes; 0 where hosts fetch the image.
  public var bytes: Int64

  /// An archive from its parts.
  public init(architecture: String, path: String, digest: Digest, bytes: Int64) {
    self.architecture = architecture
    self.path = path
    self.digest = digest
    self.bytes = bytes
  }

  /// An image that every host fetches for itself, whatever its architecture.
  public init(image: ImageReference) { self.init(architecture: "", path: "", digest: image.digest, bytes: 0) }

  /// Whether hosts fetch it for themselves.
  public var isFetched: Bool { path.isEmpty }
}

/// All that makes a release what it is on a host. Its digest, the SHA-256 of its canonical JSON, is the release's identity:
/// a change of configuration alone is a release too. Placeholders are not yet filled in, so that it is the same in both slots.
public struct ReleaseManifest: Hashable, Sendable, Codable {
  /// The agent that this is a release of.
  public var agent: AgentName
  /// The version.
  public var version: Version
  /// The archive's digest.
  public var archive: Digest
  /// The archive's size in bytes.
  public var archiveBytes: Int64
  /// Leading folders of the archive to drop.
  public var strip: Int
  /// The program's path inside the release; empty for a container.
  public var exec: String
  /// Its arguments.
  public var args: [String]
  /// Environment, sorted by name.
  public var environment: [EnvironmentVariable]
  /// The user that the unit runs as.
  public var user: String
  /// The unit to render; nil for the default one.
  public var unitTemplate: String?
  /// How it runs as a container; nil where systemd runs its program.
  public var container: ContainerDefinition?

  /// The manifest of an agent's release with this archive.
  public init(agent: AgentDefinition, version: Version, archive: ReleaseArchive) {
    self.agent = agent.name
    self.version = version
    self.archive = archive.digest
    archiveBytes = archive.bytes
    strip = agent.strip
    exec = agent.exec
    args = agent.args
    environment = agent.environment
    user = agent.user
    unitTemplate = agent.unitTemplate
    container = agent.container
  }

  /// The folder's name in the release store: one tree per version, archive and strip, whatever the configuration.
  public var storeName: String {
    "\(version.text)-\(archive.short)" + (strip == 0 ? "" : "-\(strip)") + (container == nil ? "" : "-image")
  }
}

/// A release on a host: what it is, and the digest that is its identity.
public struct IdentifiedRelease: Hashable, Sendable, Codable {
  /// What it is.
  public var manifest: ReleaseManifest
  /// SHA-256 of the manifest's canonical JSON (sorted keys, no whitespace, slashes not escaped).
  public var digest: Digest

  /// A release with the digest that was computed for it.
  public init(manifest: ReleaseManifest, digest: Digest) {
    self.manifest = manifest
    self.digest = digest
  }
}
