import Crypto
import FoundationEssentials
import Glibc
import HostProtocol
import Ports
import RolloutModel

/// A project as it was at the run's beginning: the copy that is run, and that hosts get.
struct ProjectSnapshot: Sendable {
  let manifest: ProjectManifest
  let digest: RolloutModel.Digest
  /// The copy's folder.
  let path: String

  /// What no playbook reads.
  private static let ignored: Set<String> = [
    ".git", ".hg", ".svn", "__pycache__", ".build", ".venv", "node_modules",
  ]

  /// Copies a project into the folder of a run, without some of its files. Errors: too large, links that lead out of it, files that
  /// can't be read.
  static func take(
    _ project: String, into folder: RunFolder, as name: String, without paths: [String] = []
  ) throws(PlaybookError) -> ProjectSnapshot {
    guard let resolved = realpath(project, nil) else {
      throw invalid(
        "the project's folder \(escapedForTerminal(project)): \(String(cString: strerror(errno)))")
    }
    defer { free(resolved) }
    // The run's own folder may lie in the project, too, where that is a folder for temporary files.
    let left = Set((paths + [folder.path]).compactMap(Self.resolved))
    var copy = Copy(root: String(cString: resolved), folder: folder, name: name, left: left)
    try folder.makeFolder(name)
    try copy.copy("")
    let manifest = ProjectManifest(copy.entries)
    if let flaw = manifest.flaw { throw invalid("the project \(escapedForTerminal(project)) has \(flaw)") }
    return ProjectSnapshot(
      manifest: manifest, digest: try sha256(manifest.text.utf8), path: "\(folder.path)/\(name)")
  }

  /// A path without links; nil where nothing is.
  private static func resolved(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private static func invalid(_ message: String) -> PlaybookError {
    PlaybookError(
      .invalid, message,
      hint: "let --project name the folder that holds the playbook and what belongs to it, and no more")
  }

  fileprivate static func sha256(_ bytes: some Sequence<UInt8>) throws(PlaybookError) -> RolloutModel.Digest {
    guard let digest = RolloutModel.Digest(bytes: Array(SHA256.hash(data: Array(bytes)))) else {
      throw PlaybookError(
        .tool, "SHA-256 gave no 32 bytes", hint: "this is a fault of Switchyard: please report it")
    }
    return digest
  }

  /// The copying of one project.
  private struct Copy {
    let root: String
    let folder: RunFolder
    let name: String
    /// What is not copied, by its path without links.
    let left: Set<String>
    var entries: [ProjectManifest.Entry] = []
    private var bytes: Int64 = 0

    init(root: String, folder: RunFolder, name: String, left: Set<String>) {
      self.root = root
      self.left = left
      self.folder = folder
      self.name = name
    }

    /// Copies what is in a folder of the project; the empty path is the project's own.
    mutating func copy(_ path: String) throws(PlaybookError) {
      let names: [String]
      do { names = try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(path)") } catch {
        throw invalid("the project's folder \(escapedForTerminal("\(root)/\(path)")) can't be listed")
      }
      for entry in names.sorted()
      where !ignored.contains(entry) && !entry.hasSuffix(".pyc") && !entry.hasSuffix(".retry") {
        let inner = path.isEmpty ? entry : "\(path)/\(entry)"
        if let flaw = ProjectManifest.flaw(ofPath: inner) { throw invalid("the project has \(flaw)") }
        let source = try resolve(inner)
        guard !left.contains(source) else { continue }
        var about = stat()
        guard stat(source, &about) == 0 else { throw RunFolder.failure("looking at \(source)") }
        switch about.st_mode & S_IFMT {
        case S_IFDIR:
          try folder.makeFolder("\(name)/\(inner)")
          try copy(inner)
        case S_IFREG: try copyFile(source, inner, isProgram: about.st_mode & 0o111 != 0)
        default: continue  // sockets and pipes, which are no part of a playbook
        }
      }
    }

    /// Where a path of the project leads, through links, which may not lead out of it.
    private func resolve(_ path: String) throws(PlaybookError) -> String {
      guard let resolved = realpath("\(root)/\(path)", nil) else {
        throw invalid("\(escapedForTerminal(path)) in the project leads nowhere")
      }
      defer { free(resolved) }
      let target = String(cString: resolved)
      guard target.hasPrefix(root + "/") || root == "/" else {
        throw invalid("\(escapedForTerminal(path)) in the project is a link that leads out of it")
      }
      return target
    }

    private mutating func copyFile(_ source: String, _ path: String, isProgram: Bool) throws(PlaybookError) {
      guard entries.count < ProjectManifest.Bound.files else {
        throw invalid("the project has more than \(ProjectManifest.Bound.files) files")
      }
      let input = open(source, O_RDONLY | O_CLOEXEC)
      guard input >= 0 else { throw RunFolder.failure("reading \(source)") }
      defer { close(input) }
      var hash = SHA256()
      var size: Int64 = 0
      let before = bytes
      try folder.write(to: "\(name)/\(path)", mode: isProgram ? 0o755 : 0o644) {
        output throws(PlaybookError) in
        var piece = [UInt8](repeating: 0, count: 256 * 1024)
        while true {
          let count = read(input, &piece, piece.count)
          if count < 0, errno == EINTR { continue }
          guard count >= 0 else { throw RunFolder.failure("reading \(source)") }
          if count == 0 { break }
          hash.update(data: piece[..<count])
          size += Int64(count)
          guard before + size <= ProjectManifest.Bound.bytes else {
            throw invalid("the project is larger than \(ProjectManifest.Bound.bytes >> 20) MiB")
          }
          try RunFolder.write(piece[..<count], to: output, path)
        }
      }
      bytes += size
      guard let digest = RolloutModel.Digest(bytes: Array(hash.finalize())) else { return }
      entries.append(ProjectManifest.Entry(path: path, isProgram: isProgram, bytes: size, digest: digest))
    }
  }
}
