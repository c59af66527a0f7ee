import Crypto
import RolloutModel

/// What a release is on hosts of each architecture that it has an archive for: computed once, for all hosts.
public struct ReleaseIdentities: Sendable {
  private let archives: [ReleaseArchive]
  private let found: [String: Result<IdentifiedRelease, StepFailure>]

  /// Those of a plan's release.
  public init(of plan: Plan) {
    archives = plan.release.archives
    var found: [String: Result<IdentifiedRelease, StepFailure>] = [:]
    for archive in archives {
      let manifest = ReleaseManifest(agent: plan.agent, version: plan.release.version, archive: archive)
      found[archive.architecture] = Self.identify(manifest)
    }
    self.found = found
  }

  /// The release for an architecture, with its digest.
  public func release(for architecture: String) throws(StepFailure) -> IdentifiedRelease {
    guard let identified = found[architecture] ?? found[""] else {
      let offered = archives.map(\.architecture).joined(separator: ", ")
      throw StepFailure(
        .precondition,
        "the host is \(escapedForTerminal(architecture)) and the release has archives for \(offered) only",
        hint: "add --archive \(escapedForTerminal(architecture))=FILE")
    }
    return try identified.get()
  }

  private static func identify(_ manifest: ReleaseManifest) -> Result<IdentifiedRelease, StepFailure> {
    do {
      guard let digest = Digest(bytes: Array(SHA256.hash(data: try canonicalJSON(manifest)))) else {
        return .failure(StepFailure(.shared, "the release's digest could not be computed"))
      }
      return .success(IdentifiedRelease(manifest: manifest, digest: digest))
    } catch {
      return .failure(StepFailure(.shared, "the release's manifest could not be encoded: \(error)"))
    }
  }
}
