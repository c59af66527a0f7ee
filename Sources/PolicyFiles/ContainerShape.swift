import MarkedYAML
import RolloutModel

extension Shape where Value == ContainerDefinition {
  /// How a release runs as a container.
  static var container: Shape {
    let image = Field<ImageReference?>.optional(
      "image", "REGISTRY/NAME@sha256:DIGEST; the archive holds the image where it isn't given", .image)
    let volumes = Field(
      "volumes", "what of the host the container sees, SOURCE:TARGET or SOURCE:TARGET:ro",
      Shape<[ContainerVolume]>.list(of: .volume, "volumes", count: 0...32), otherwise: [])
    let readOnly = Field(
      "read_only", "whether the container can't write to its own files", .flag,
      default: Defaults.readOnlyContainer)
    let memory = Field<Int64?>.optional("memory", "the most memory that it may take", .size("memory"))
    return .record(
      "container", [image.description, volumes.description, readOnly.description, memory.description]
    ) { record in
      let image = record.read(image)
      let volumes = record.read(volumes)
      let readOnly = record.read(readOnly)
      let memory = record.read(memory)
      guard let image, let volumes, let readOnly, let memory else { return nil }
      return ContainerDefinition(image: image, volumes: volumes, readOnly: readOnly, memory: memory)
    }
  }
}

extension Shape where Value == ImageReference {
  /// An image in a registry, by digest.
  fileprivate static let image = Shape<String>.text("image", upTo: 512) { text in
    if ImageReference(text) != nil { return nil }
    guard let sign = text.firstRange(of: "@") else {
      return Complaint(
        "the image \(quoted(text)) has no digest, and a tag may lead elsewhere tomorrow",
        "write REGISTRY/NAME@sha256:DIGEST, as the registry or `skopeo inspect` shows it")
    }
    let hasTag = text[..<sign.lowerBound].split(separator: "/").last?.contains(":") ?? false
    return Complaint(
      "\(quoted(text)) is no image by digest",
      hasTag
        ? "write it without the tag: the digest says which image it is"
        : "write REGISTRY/NAME@sha256: and 64 hexadecimal digits; the registry must be named")
  }.map { text, _, _ in ImageReference(text) }
}

extension Shape where Value == ContainerVolume {
  /// A volume; whether the agent's container may have it is asked once its name is known.
  fileprivate static let volume = Shape<String>.text("a volume", upTo: 1100) { text in
    ContainerVolume(text) == nil
      ? Complaint("\(quoted(text)) is no volume", "write SOURCE:TARGET, or SOURCE:TARGET:ro") : nil
  }.map { text, _, _ in ContainerVolume(text) }
}

/// The program of a release, or the image of it.
struct RunFields: Sendable {
  private let exec = Field<String?>.optional("exec", "the program's path inside the release", .pathInRelease)
  private let container = Field<ContainerDefinition?>.optional(
    "container", "how it runs as a container: image, volumes, read_only, memory", .container)

  var descriptions: [FieldDescription] { [exec.description, container.description] }

  /// The program, empty for a container, and the container; nil where a problem was reported.
  func read(_ record: RecordReader, agent: AgentName?) -> (exec: String, container: ContainerDefinition?)? {
    let exec = record.read(exec)
    let container = record.read(container)
    guard let exec, let container else { return nil }
    guard let container else {
      guard let exec else {
        record.diagnostics.report(
          record.place, "an agent file lacks the key \"exec\"",
          "add exec: the program's path inside the release")
        return nil
      }
      return (exec, nil)
    }
    for (key, instead) in [
      ("exec", "remove it: the image says what is run, and args follow that"),
      ("strip", "remove it: an image is not unpacked"),
      ("unit", "remove it: a container has a unit of its own"),
    ] where record.entry(key) != nil {
      record.report(key, "\(key) has no meaning for a container", instead)
    }
    check(container, record, agent)
    return ("", container)
  }

  private func check(_ container: ContainerDefinition, _ record: RecordReader, _ agent: AgentName?) {
    guard let agent else { return }
    let nodes = record.entry("container")?.value["volumes"]?.elements ?? []
    let readable = ContainerVolume.readableFolders(of: agent).joined(separator: ", ")
    for (place, volume) in container.volumes.enumerated() {
      let node = place < nodes.count ? nodes[place].place : record.place(of: "container")
      if let complaint = volume.complaint(for: agent) {
        record.diagnostics.report(
          node, "the volume \(quoted(volume.description)): \(complaint)",
          "name a folder below \(ContainerVolume.ownFolders(of: agent).joined(separator: ", ")), "
            + "or with :ro one of \(readable)")
      } else if container.volumes.prefix(place).contains(where: { $0.target == volume.target }) {
        record.diagnostics.report(
          node, "two volumes are to be seen at \(quoted(volume.target))", "give each a place of its own")
      }
    }
  }
}
