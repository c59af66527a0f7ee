import FoundationEssentials
import Glibc
import RolloutModel

/// Why a run's log can't be used.
public struct RunLogError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What failed, where, why, and what to do.
  public let description: String
  /// Whether there is no log of that run, or no such run.
  public let isMissing: Bool

  /// An error from its parts.
  public init(_ description: String, isMissing: Bool = false) {
    self.description = description
    self.isMissing = isMissing
  }
}

/// Where logs are: `STATE/logs/RUN/`, the newest lines in `log`, older ones in `log.1`, `log.2` and so on.
public struct RunLogFolder: Sendable {
  /// Files of a run beside the newest one.
  static let olderFiles = 3
  /// Runs whose logs are kept, and bytes of all logs together, unless the newest run alone has more.
  static let mostRuns = 200
  static let mostBytes: Int64 = 512 << 20

  private let root: String

  /// The logs of a state folder.
  public init(state: String) { root = state + "/logs" }

  /// The folder of a run's log: the one function that makes it, for whoever writes and whoever reads. Throws where `run` can't be an
  /// identifier: letters, digits, dots and dashes, at most 128, the first a letter or a digit.
  public func path(of run: String) throws(RunLogError) -> String {
    guard let first = run.utf8.first, Self.isAlphanumeric(first), run.utf8.count <= 128,
      run.utf8.allSatisfy({ Self.isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") })
    else {
      throw RunLogError(
        "“\(escapedForTerminal(run, limit: 80))” is no run's identifier: those are letters, digits, dots and dashes",
        isMissing: true)
    }
    return "\(root)/\(run)"
  }

  /// A run's files, the newest first.
  static func files(in folder: String) -> [String] {
    [folder + "/log"] + (1...olderFiles).map { "\(folder)/log.\($0)" }
  }

  /// Held by the writer as long as it may write.
  static func lock(in folder: String) -> String { folder + "/writer" }

  /// Makes a run's folder, for its owner alone.
  func make(_ run: String) throws(RunLogError) -> String {
    let folder = try path(of: run)
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw RunLogError("the folder \(escapedForTerminal(folder)) can't be made: \(error)")
    }
    return folder
  }

  /// Removes the logs of the runs that were written to longest ago, where there are too many. Runs that are being written stay.
  func removeOldest(sparing run: String) {
    struct Found {
      var name: String
      var bytes: Int64
      var written: Int
    }
    var found = Self.names(in: root).map { name in
      let sizes = Self.names(in: "\(root)/\(name)").map { Self.status("\(root)/\(name)/\($0)") }
      return Found(
        name: name, bytes: sizes.reduce(0) { $0 + $1.bytes }, written: sizes.map(\.written).max() ?? 0)
    }
    found.sort { $0.written > $1.written }
    var bytes: Int64 = 0
    for (place, log) in found.enumerated() {
      bytes += log.bytes
      guard log.name != run, place >= Self.mostRuns || bytes > Self.mostBytes,
        let folder = try? path(of: log.name),  // What is no run's name is not ours to remove.
        WriterLock.isFree(Self.lock(in: folder))
      else { continue }
      for file in Self.names(in: folder) { unlink("\(folder)/\(file)") }
      rmdir(folder)
    }
  }

  private static func names(in folder: String) -> [String] {
    guard let open = opendir(folder) else { return [] }
    defer { closedir(open) }
    var names: [String] = []
    while let entry = readdir(open) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  private static func status(_ path: String) -> (bytes: Int64, written: Int) {
    var status = stat()
    return lstat(path, &status) == 0 ? (Int64(status.st_size), status.st_mtim.tv_sec) : (0, 0)
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }
}

/// Says whether somebody writes a log. The kernel lifts it when its holder dies.
final class WriterLock: Sendable {
  private let file: Int32

  /// Nil where it can't be had.
  init?(_ path: String) {
    file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    guard file >= 0 else { return nil }
    guard flock(file, LOCK_SH | LOCK_NB) == 0 else {
      close(file)
      return nil
    }
  }

  deinit {
    // Lifted, and not only let go of: a child that is just being started has the file open until it runs.
    flock(file, LOCK_UN)
    close(file)
  }

  /// Whether nobody holds it.
  static func isFree(_ path: String) -> Bool {
    let file = open(path, O_RDWR | O_CLOEXEC)
    // One that can't be looked at may be held.
    guard file >= 0 else { return errno == ENOENT }
    defer { close(file) }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else { return false }
    flock(file, LOCK_UN)
    return true
  }
}
