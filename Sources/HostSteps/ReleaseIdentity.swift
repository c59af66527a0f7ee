import Crypto
import RolloutModel

/// Computes what a release is on hosts of one architecture.
public enum ReleaseIdentity {
  /// The plan's release for an architecture, with its digest.
  public static func release(of plan: Plan, for architecture: String) throws(StepFailure) -> IdentifiedRelease
  {
    guard let archive = plan.release.archive(for: architecture) else {
      let offered = plan.release.archives.map(\.architecture).joined(separator: ", ")
      throw StepFailure(
        .precondition,
        "the host is \(escapedForTerminal(architecture)) and the release has archives for \(offered) only",
        hint: "add --archive \(escapedForTerminal(architecture))=FILE")
    }
    let manifest = ReleaseManifest(agent: plan.agent, version: plan.release.version, archive: archive)
    do {
      guard let digest = Digest(bytes: Array(SHA256.hash(data: try canonicalJSON(manifest)))) else {
        throw StepFailure(.shared, "the release's digest could not be computed")
      }
      return IdentifiedRelease(manifest: manifest, digest: digest)
    } catch {
      throw StepFailure(.shared, "the release's manifest could not be encoded: \(error)")
    }
  }
}
