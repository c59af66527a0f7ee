import RolloutModel

/// The container images of a host, as far as releases need them.
package protocol Images: Sendable {
  /// Takes in the image of an archive, which is a plain tar at a path, and gives it a name of ours; its ID.
  func load(_ form: ImageArchive.Form, at path: String, as name: ImageName, deadline: Deadline)
    throws(HostFailure) -> Digest

  /// Fetches an image from its registry and gives it a name of ours; its ID.
  func fetch(_ reference: ImageReference, as name: ImageName, deadline: Deadline) throws(HostFailure)
    -> FetchedImage

  /// Whether an image with this ID and this name of ours is here.
  func has(_ image: Digest, _ name: ImageName) throws(HostFailure) -> Bool

  /// The names of ours that the agent's images have.
  func names(of agent: AgentName) throws(HostFailure) -> [ImageName]

  /// Takes a name of ours away, and the image, where it has no other.
  func remove(_ name: ImageName) throws(HostFailure)

  /// Removes an image that nobody else has named or uses; else it stays.
  func removeUnused(_ image: Digest) throws(HostFailure)
}

/// What came of fetching an image.
package struct FetchedImage: Hashable, Sendable {
  /// Its ID.
  package var image: Digest
  /// Whether it had not been here before, so that it is ours to remove.
  package var isNew: Bool

  /// A result from its parts.
  package init(image: Digest, isNew: Bool) {
    self.image = image
    self.isNew = isNew
  }
}

/// A name of ours for a release's image: it keeps the image from being cleaned away as one that nobody wants.
package struct ImageName: Hashable, Sendable {
  /// The agent.
  package let agent: AgentName
  /// What tells the release's image from others of the agent.
  package let tag: String

  /// The name for what the store knows by this name. A version may have characters that a tag may not.
  package init(_ agent: AgentName, storeName: String) throws(HostFailure) {
    self.agent = agent
    let plain = storeName.map { "+~".contains($0) ? "_" : $0 }
    tag = String(plain) + "-" + String(try sha256(of: Array(storeName.utf8)).hex.prefix(8))
  }

  fileprivate init(_ agent: AgentName, tag: String) {
    self.agent = agent
    self.tag = tag
  }

  /// As Podman knows it.
  var text: String { "\(Self.repository(agent)):\(tag)" }

  fileprivate static func repository(_ agent: AgentName) -> String { "localhost/switchyard/\(agent)" }
}

/// The images that Podman keeps.
package struct PodmanImages: Images {
  /// Podman's images on this host.
  package init() {}

  package func load(
    _ form: ImageArchive.Form, at path: String, as name: ImageName, deadline: Deadline
  ) throws(HostFailure) -> Digest {
    let before = try known()
    let what = "taking in the image of \(name.agent)"
    let result = try Podman.run(["pull", "--quiet", "\(form.transport):\(path)"], within: deadline.remaining)
    guard result.status.isSuccess else {
      var failure = Podman.failure(what, result)
      if failure.code == .system { failure.code = .archiveRefused }
      throw failure
    }
    let image = try Self.identity(in: result.outputText, what)
    _ = try Podman.done(what, ["tag", image.hex, name.text])
    try giveBack(image, before, but: name)
    return image
  }

  package func fetch(
    _ reference: ImageReference, as name: ImageName, deadline: Deadline
  ) throws(HostFailure) -> FetchedImage {
    let what = "fetching \(reference)"
    let wasHere = try Podman.run(["image", "exists", "\(reference)"], within: .seconds(60)).status.isSuccess
    let said = try Podman.done(what, ["pull", "--quiet", "\(reference)"], within: deadline.remaining)
    let image = try Self.identity(in: said, what)
    // Podman holds what it fetches to the digest; that it knows the image by it is asked all the same.
    let named = try Podman.done(what, ["image", "inspect", "--format", "{{.Id}}", "\(reference)"])
    guard try Self.identity(in: named, what) == image else {
      throw HostFailure(.digestMismatch, "\(what): what came is \(image), and not the image of that digest")
    }
    _ = try Podman.done(what, ["tag", image.hex, name.text])
    return FetchedImage(image: image, isNew: !wasHere)
  }

  package func has(_ image: Digest, _ name: ImageName) throws(HostFailure) -> Bool {
    let result = try Podman.run(["image", "inspect", "--format", "{{.Id}}", name.text], within: .seconds(60))
    return result.status.isSuccess
      && result.outputText.trimmedLine == image.hex
  }

  package func names(of agent: AgentName) throws(HostFailure) -> [ImageName] {
    let prefix = ImageName.repository(agent) + ":"
    return try known().keys.filter { $0.hasPrefix(prefix) }.sorted()
      .map { ImageName(agent, tag: String($0.dropFirst(prefix.count))) }
  }

  package func remove(_ name: ImageName) throws(HostFailure) {
    let result = try Podman.run(["rmi", name.text], within: .seconds(120))
    if result.status.isSuccess { return }
    guard try known()[name.text] != nil else { return }
    // Somebody's own container uses the image: it stays, without our name.
    _ = try Podman.done("removing the image \(name.text)", ["untag", name.text, name.text])
  }

  package func removeUnused(_ image: Digest) throws(HostFailure) {
    // Refused where the image has another name or is in use, as it should be.
    _ = try Podman.run(["rmi", image.hex], within: .seconds(120))
  }

  /// All images' names, with the images' IDs.
  private func known() throws(HostFailure) -> [String: String] {
    let said = try Podman.done(
      "looking at the images", ["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"])
    var known: [String: String] = [:]
    for line in said.split(separator: "\n") {
      let parts = line.split(separator: " ")
      guard parts.count == 2, !parts[0].contains("<none>") else { continue }
      known[String(parts[0])] = String(parts[1].hasPrefix("sha256:") ? parts[1].dropFirst(7) : parts[1])
    }
    return known
  }

  /// An archive says how its image wants to be called, and Podman follows that, also where another image had the name, be it one
  /// of Switchyard's. Only the release's own name stays; what had been named before is named so again.
  private func giveBack(
    _ image: Digest, _ before: [String: String], but own: ImageName
  ) throws(HostFailure) {
    let now = try known()
    for (name, owner) in now.sorted(by: { $0.key < $1.key })
    where owner == image.hex && name != own.text && before[name] != image.hex {
      _ = try Podman.done("taking \(escapedForTerminal(name)) from the image", ["untag", image.hex, name])
      if let former = before[name] {
        _ = try Podman.done("giving \(escapedForTerminal(name)) back", ["tag", former, name])
      }
    }
  }

  private static func identity(in text: String, _ what: String) throws(HostFailure) -> Digest {
    guard let image = Digest(text.trimmedLine) else {
      throw HostFailure(
        .system, "\(what): podman answered \(escapedForTerminal(text, limit: 80)), which is no image's ID")
    }
    return image
  }
}

extension String {
  /// The last line, without the prefix of a digest.
  fileprivate var trimmedLine: String {
    let line = split(whereSeparator: \.isNewline).last.map { $0.filter { !$0.isWhitespace } } ?? ""
    return line.hasPrefix("sha256:") ? String(line.dropFirst(7)) : line
  }
}
