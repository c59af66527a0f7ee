/// How a release runs as a container: what an agent file says under `container`.
public struct ContainerDefinition: Hashable, Sendable, Codable {
  /// The image in a registry; nil where the release's archive holds it.
  public var image: ImageReference?
  /// What of the host the container sees, in the file's order.
  public var volumes: [ContainerVolume]
  /// Whether the container can't write to its own files.
  public var readOnly: Bool
  /// The most memory in bytes; nil for no bound.
  public var memory: Int64?

  /// The Podman that is needed: the one that the way of running it was tried with.
  public static let podmanBound = VersionBound(">=4.3")
  /// What a host must have to run containers, checked before anything is changed there. The file is there where the host's
  /// control groups are of version 2, as a unit must hold all of its container's processes.
  public static let dependencies: [Dependency] = [
    .command(argv: ["podman", "--version"], version: podmanBound),
    .file(path: "/sys/fs/cgroup/cgroup.controllers"),
  ]

  /// A definition from its parts.
  public init(image: ImageReference?, volumes: [ContainerVolume], readOnly: Bool, memory: Int64?) {
    self.image = image
    self.volumes = volumes
    self.readOnly = readOnly
    self.memory = memory
  }
}

/// An image in a registry, by digest alone: `REGISTRY/NAME@sha256:DIGEST`. A tag may lead elsewhere tomorrow and is refused.
public struct ImageReference: Hashable, Sendable, Codable, CustomStringConvertible {
  /// Registry and name.
  public let name: String
  /// The digest of the image's manifest, or of the list with one for each architecture.
  public let digest: Digest

  /// Nil where `text` is no such reference.
  public init?(_ text: String) {
    guard text.utf8.count <= 512, let sign = text.firstRange(of: "@sha256:") else { return nil }
    let name = String(text[..<sign.lowerBound])
    let hex = String(text[sign.upperBound...])
    guard hex == hex.lowercased(), let digest = Digest(hex), Self.isName(name) else { return nil }
    self.name = name
    self.digest = digest
  }

  /// Refuses text that is no reference.
  public init(from decoder: any Decoder) throws {
    self = try decodeChecked(from: decoder, as: "an image by digest", ImageReference.init)
  }

  /// Encodes the text alone.
  public func encode(to encoder: any Encoder) throws { try encodeText(description, to: encoder) }

  /// As a file writes it.
  public var description: String { "\(name)@sha256:\(digest)" }

  /// The registry must be named: which ones a short name leads to is every host's own setting.
  private static func isName(_ name: String) -> Bool {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 2, let registry = parts.first, isRegistry(registry) else { return false }
    return parts.dropFirst().allSatisfy { isComponent($0) }
  }

  private static func isRegistry(_ text: Substring) -> Bool {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count <= 2, let host = parts.first,
      host == "localhost" || host.contains(".") || parts.count == 2
    else { return false }
    let labels = host.split(separator: ".", omittingEmptySubsequences: false)
    let isHost = labels.allSatisfy { label in
      !label.isEmpty && !label.hasPrefix("-") && !label.hasSuffix("-")
        && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }
    guard isHost else { return false }
    guard parts.count == 2, let port = parts.last else { return true }
    return (1...5).contains(port.utf8.count) && port.utf8.allSatisfy { (48...57).contains($0) }
  }

  /// Lower-case letters and digits, with single separators between them.
  private static func isComponent(_ text: Substring) -> Bool {
    let separators = "._-".utf8
    guard let first = text.utf8.first, let last = text.utf8.last, !separators.contains(first),
      !separators.contains(last)
    else { return false }
    return text.utf8.allSatisfy {
      isAlphanumeric($0) && !(65...90).contains($0) || separators.contains($0)
    }
  }
}

/// A folder or file of the host that a container sees.
public struct ContainerVolume: Hashable, Sendable, Codable, CustomStringConvertible {
  /// Its path on the host.
  public var source: String
  /// Its path in the container.
  public var target: String
  /// Whether the container can't write there.
  public var readOnly: Bool

  /// A volume from its parts.
  public init(source: String, target: String, readOnly: Bool) {
    self.source = source
    self.target = target
    self.readOnly = readOnly
  }

  /// Reads `SOURCE:TARGET` and `SOURCE:TARGET:ro`; nil for anything else. What may stand there is another question.
  public init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 || parts.count == 3 && (parts[2] == "ro" || parts[2] == "rw") else { return nil }
    self.init(source: parts[0], target: parts[1], readOnly: parts.count == 3 && parts[2] == "ro")
  }

  /// As a file writes it.
  public var description: String { "\(source):\(target)\(readOnly ? ":ro" : "")" }

  /// The folders of an agent's own that its container may see.
  public static func ownFolders(of agent: AgentName) -> [String] {
    ["/var/lib", "/var/cache", "/var/log", "/run", "/srv", "/var/lib/switchyard-agents"].map {
      "\($0)/\(agent)"
    }
  }

  /// What any container may see without writing there.
  public static func readableFolders(of agent: AgentName) -> [String] {
    [
      "/etc/\(agent)", "/etc/ssl/certs", "/etc/pki/tls/certs", "/usr/share/ca-certificates",
      "/usr/share/zoneinfo", "/etc/localtime",
    ]
  }

  /// What is wrong with the volume in a container of this agent; nil where nothing is. The lists are short on purpose: a
  /// container that sees more of its host is none.
  public func complaint(for agent: AgentName) -> String? {
    guard Self.isPlain(source) else { return "\(source) is no plain absolute path" }
    guard Self.isPlain(target) else { return "\(target) is no plain absolute path" }
    let top = target.split(separator: "/").first.map(String.init) ?? ""
    guard !["proc", "sys", "dev"].contains(top) else { return "a container has a /\(top) of its own" }
    if Self.ownFolders(of: agent).contains(where: { isWithin($0) }) { return nil }
    guard Self.readableFolders(of: agent).contains(where: { isWithin($0) }) else {
      return "\(source) is not the agent's own"
    }
    return readOnly ? nil : "\(source) can only be seen, not written: it lacks :ro"
  }

  private func isWithin(_ folder: String) -> Bool { source == folder || source.hasPrefix(folder + "/") }

  private static func isPlain(_ path: String) -> Bool {
    guard path.hasPrefix("/"), path.utf8.count <= 512,
      path.utf8.allSatisfy({ isAlphanumeric($0) || "/._+@=-".utf8.contains($0) })
    else { return false }
    return path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
      .allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
  }
}
