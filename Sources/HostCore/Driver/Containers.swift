import Glibc
import RolloutModel

/// What of a slot is a container's.
extension HostHands {
  /// What the slot's texts need to know of a release that runs as a container; nil for any other.
  func container(
    _ release: ReleaseManifest, _ user: (id: UInt32, group: UInt32)
  ) throws(HostFailure) -> SlotText.Image? {
    guard let container = release.container else { return nil }
    for volume in container.volumes { try checkSource(volume) }
    return SlotText.Image(podman: try Podman.program(), image: try store.image(of: release), user: user)
  }

  /// A link on the way could lead out of what a container may see, so none must be there and nobody but root must be able to
  /// put one there; and Podman would make a folder that is missing, as root's.
  private func checkSource(_ volume: ContainerVolume) throws(HostFailure) {
    // That this one is a link is usual, and it is only read.
    if volume.source == "/etc/localtime" { return }
    var path = ""
    let parts = volume.source.split(separator: "/")
    for (place, part) in parts.enumerated() {
      path += "/\(part)"
      var status = stat()
      guard lstat(path, &status) == 0 else {
        throw HostFailure(
          .invalid, "the volume \(volume): \(path): \(errorText(errno))",
          hint: "make it on the host, for the user that the agent runs as")
      }
      guard status.st_mode & S_IFMT != S_IFLNK else {
        throw HostFailure(
          .invalid, "the volume \(volume): \(path) is a link, which may lead anywhere",
          hint: "name the folder that it leads to, if that is one that a container may see")
      }
      guard place == parts.count - 1 || status.st_uid == 0 && status.st_mode & 0o022 == 0 else {
        throw HostFailure(
          .invalid,
          "the volume \(volume): others than root may change what is in \(path), and put a link there",
          hint: "name \(path) itself, or give it to root")
      }
    }
  }

  /// The slot's unit once its container was found to be of the staged image; throws where it is of another one. A container that
  /// has ended in the meantime can't be asked: then the unit's end is what there is to tell.
  func checkImage(
    _ release: ReleaseManifest, _ slot: Slot, _ started: UnitStatus
  ) throws(HostFailure) -> UnitStatus {
    guard release.container != nil else { return started }
    do throws(HostFailure) { try compareImage(release, slot) } catch {
      let limit = Deadline(in: .seconds(2))
      while !limit.passed {
        let now = try unit(started.unit)
        guard now.isActive, now.invocation == started.invocation, now.restarts == started.restarts else {
          return now
        }
        usleep(50_000)
      }
      throw error
    }
    return started
  }

  private func compareImage(_ release: ReleaseManifest, _ slot: Slot) throws(HostFailure) {
    let staged = try store.image(of: release)
    let name = ContainerText.name(release.agent, slot)
    let said = try Podman.done(
      "looking at the container \(name)", ["container", "inspect", "--format", "{{.Image}}", name])
    guard let running = Digest(said.filter { !$0.isWhitespace }), running == staged else {
      throw HostFailure(
        .digestMismatch,
        "the container \(name) runs the image \(escapedForTerminal(said, limit: 80)), staged was \(staged)",
        hint: "see whether somebody else starts a container of this name")
    }
  }

  /// Removes what the unit's own end may have left of the slot's container.
  func removeContainer(_ agent: AgentName, _ slot: Slot) throws(HostFailure) {
    guard store.hasImages(agent) else { return }
    do throws(HostFailure) {
      _ = try Podman.done("removing a container", ContainerText.removal(agent, slot))
    } catch  where error.code == .notFound {
      // Without Podman there is no container.
    }
  }
}
