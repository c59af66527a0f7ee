/// The lowest version that may be brought to a host. It protects from going back to a release with a known hole.
public struct HostFloor: Hashable, Sendable {
  /// The floor; nil where any version may come.
  public var version: Version?
  /// The release that was promoted last, which may always come back.
  public var lastGood: Digest?

  /// A floor from its parts.
  public init(version: Version?, lastGood: Digest?) {
    self.version = version
    self.lastGood = lastGood
  }

  /// Why a release may not come; nil where it may.
  public func obstacle(_ release: IdentifiedRelease) -> String? {
    guard let version, release.digest != lastGood, release.manifest.version.isBelow(version) else {
      return nil
    }
    return "version \(release.manifest.version) is below this host's floor, \(version)"
  }
}
