import RolloutModel

/// The preface of a playbook's run through the agent, one JSON document a line. The controller offers a project by its
/// digest; the host says whether it lacks it; the controller then sends the manifest and, behind its line, the contents of
/// its files in the manifest's order. Once the host is ready, both sides speak as `ansible-runner transmit` and
/// `ansible-runner worker` do, until either ends the stream.
public struct PlaybookOffer: Hashable, Sendable, Codable {
  /// The preface's version.
  public static let version = 1

  /// The version that the controller speaks.
  public var playbook = PlaybookOffer.version
  /// The digest of the project's manifest.
  public var project: Digest
  /// Whether the run brings a vault's password.
  public var vault: Bool

  /// An offer from its parts.
  public init(project: Digest, vault: Bool) {
    self.project = project
    self.vault = vault
  }
}

/// What a host says in the preface.
public enum PlaybookAnswer: Hashable, Sendable, Codable {
  /// The project is not there, or not as its digest says.
  case send
  /// The runner starts now.
  case ready
  /// Nothing is run.
  case failed(HostFailure)
}

/// All files of a project.
public struct ProjectManifest: Hashable, Sendable, Codable {
  /// Bounds of a project.
  public enum Bound {
    /// Files.
    public static let files = 20_000
    /// Bytes in all.
    public static let bytes: Int64 = 64 << 20
    /// Bytes of a path.
    public static let path = 1024
    /// Bytes of a line of the preface.
    public static let line = 16 << 20
  }

  /// One file.
  public struct Entry: Hashable, Sendable, Codable {
    /// Where it is, from the project's folder.
    public var path: String
    /// Whether it may be executed; of its mode nothing else counts.
    public var isProgram: Bool
    /// Its size.
    public var bytes: Int64
    /// Its content's digest.
    public var digest: Digest

    /// An entry from its parts.
    public init(path: String, isProgram: Bool, bytes: Int64, digest: Digest) {
      self.path = path
      self.isProgram = isProgram
      self.bytes = bytes
      self.digest = digest
    }
  }

  /// In the order of their paths' bytes.
  public let entries: [Entry]

  /// A manifest of these files, in any order.
  public init(_ entries: [Entry]) {
    self.entries = entries.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
  }

  /// Bytes of all files.
  public var bytes: Int64 { entries.reduce(0) { $0.addingReportingOverflow($1.bytes).partialValue } }

  /// The text whose digest is the project's: a line a file.
  public var text: String {
    entries.map { "\($0.isProgram ? "x" : "-") \($0.digest) \($0.bytes) \($0.path)\n" }.joined()
  }

  /// What makes it no manifest to be taken; nil where nothing does. A path that is in order leads to a place below the project's
  /// folder, and no file's path goes through another file.
  public var flaw: String? {
    guard entries.count <= Bound.files else { return "more than \(Bound.files) files" }
    var total: Int64 = 0
    var files: Set<String> = []
    for entry in entries {
      guard (0...Bound.bytes).contains(entry.bytes) else { return "a file of \(entry.bytes) bytes" }
      total += entry.bytes
      guard total <= Bound.bytes else { return "more than \(Bound.bytes >> 20) MiB" }
      if let flaw = Self.flaw(ofPath: entry.path) { return flaw }
      guard files.insert(entry.path).inserted else { return "\(escapedForTerminal(entry.path)) twice" }
    }
    for entry in entries {
      var parts = entry.path.split(separator: "/").dropLast()
      while !parts.isEmpty {
        guard !files.contains(parts.joined(separator: "/")) else {
          return "\(escapedForTerminal(entry.path)), which goes through a file"
        }
        parts = parts.dropLast()
      }
    }
    return nil
  }

  /// What makes a text no path inside a project; nil where nothing does.
  public static func flaw(ofPath path: String) -> String? {
    func flaw(_ why: String) -> String { "the path \(escapedForTerminal(path)), which \(why)" }
    guard !path.isEmpty, path.utf8.count <= Bound.path else { return flaw("is empty or too long") }
    guard path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else { return flaw("holds control characters") }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 32 else { return flaw("is more than 32 folders deep") }
    guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255 }) else {
      return flaw("is not one of plain names")
    }
    return nil
  }
}
