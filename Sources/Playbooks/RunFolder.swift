import FoundationEssentials
import Glibc
import Ports
import RolloutModel

/// The folder of one run, for this user alone. Its path has a part that nobody else's has: by that the run's processes are known.
struct RunFolder: Sendable {
  let path: String

  /// A new one, in memory where this user has such a place.
  static func make() async throws(PlaybookError) -> RunFolder {
    try await Blocking.run { () throws(PlaybookError) in
      let own = getenv("XDG_RUNTIME_DIR").map { String(cString: $0) }
      let bases = [own, geteuid() == 0 ? "/run" : nil, getenv("TMPDIR").map { String(cString: $0) }, "/tmp"]
      guard let base = bases.compactMap(\.self).first(where: { $0.hasPrefix("/") && access($0, W_OK) == 0 })
      else {
        throw PlaybookError(.tool, "there is no folder to run a playbook in", hint: "set XDG_RUNTIME_DIR")
      }
      removeLeftovers(in: base)
      var template = Array((base + "/\(prefix)\(getpid())-XXXXXX").utf8CString)
      guard mkdtemp(&template) != nil else { throw Self.failure("making a folder in \(base)") }
      return RunFolder(
        path: String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
  }

  private static let prefix = "switchyard-playbook-"

  /// Removes the folders of this user's programs that were killed, and ends what still runs in them.
  private static func removeLeftovers(in base: String) {
    // A base that can't be listed is complained of when a folder is made in it.
    for name in (try? FileManager.default.contentsOfDirectory(atPath: base)) ?? [] {
      guard name.hasPrefix(prefix), let owner = pid_t(name.dropFirst(prefix.count).prefix { $0 != "-" }),
        owner > 0, kill(owner, 0) != 0, errno == ESRCH
      else { continue }
      let path = "\(base)/\(name)"
      var about = stat()
      guard lstat(path, &about) == 0, about.st_mode & S_IFMT == S_IFDIR, about.st_uid == geteuid() else {
        continue
      }
      RunProcesses(of: path).end()
      // What can't be removed now is tried again with the next run.
      _ = try? FileManager.default.removeItem(atPath: path)
    }
  }

  /// A folder in it, with those above.
  func makeFolder(_ name: String) throws(PlaybookError) {
    var made = path
    for part in name.split(separator: "/") {
      made += "/\(part)"
      guard mkdir(made, 0o700) == 0 || errno == EEXIST else { throw Self.failure("making \(made)") }
    }
  }

  /// A file in it that nobody else may read; the folder is there.
  func write(_ text: String, to name: String) throws(PlaybookError) {
    try write(to: name, mode: 0o600) { file throws(PlaybookError) in
      try Self.write(Array(text.utf8)[...], to: file, name)
    }
  }

  /// A file in it that `fill` writes.
  func write(
    to name: String, mode: mode_t, _ fill: (Int32) throws(PlaybookError) -> Void
  ) throws(PlaybookError) {
    let file = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    guard file >= 0 else { throw Self.failure("making \(path)/\(name)") }
    defer { close(file) }
    try fill(file)
  }

  static func write(_ bytes: ArraySlice<UInt8>, to file: Int32, _ name: String) throws(PlaybookError) {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure("writing \(name)") }
      rest = rest.dropFirst(count)
    }
  }

  /// Removes it, and ends what still runs in it.
  func remove() async {
    // Errors have nobody to be told to: who runs in it was ended, and nothing else writes there.
    await Blocking.run {
      RunProcesses(of: path).end()
      _ = try? FileManager.default.removeItem(atPath: path)
    }
  }

  static func failure(_ what: String) -> PlaybookError {
    PlaybookError(
      .tool, "\(escapedForTerminal(what)): \(String(cString: strerror(errno)))",
      hint: "see whether there is room and you may write there")
  }
}
