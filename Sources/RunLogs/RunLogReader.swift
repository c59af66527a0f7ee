import FoundationEssentials
import Glibc
import Ports
import RolloutModel

/// Reads a run's log from its oldest line on, and what is added to it since. Blocks for file operations: not to be used on the
/// cooperative pool's threads for long. A log that is missing is an error, and nothing follows from it.
public struct RunLogReader {
  private let folder: String
  private var file: Int32
  private var identity: UInt64
  private var rest: [UInt8] = []

  /// The longest line that is read, in bytes; a longer one is skipped.
  static let longestLine = 64 * 1024

  /// Opens a run's log. Throws where there is none.
  public init(_ run: String, in logs: RunLogFolder) throws(RunLogError) {
    folder = try logs.path(of: run)
    let files = RunLogFolder.files(in: folder).map { open($0, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) }
    guard let first = files.last(where: { $0 >= 0 }) else {
      throw RunLogError(
        "there is no log of \(run) in \(escapedForTerminal(folder)); that says nothing of the run itself: "
          + "`switchyard rollout status \(run)` does", isMissing: true)
    }
    for file in files where file >= 0 && file != first { Glibc.close(file) }
    file = first
    identity = Self.identity(first)
  }

  /// Ends reading.
  public mutating func close() {
    if file >= 0 { Glibc.close(file) }
    file = -1
  }

  /// Whether somebody may still write to it.
  public var isBeingWritten: Bool { !WriterLock.isFree(RunLogFolder.lock(in: folder)) }

  /// The next lines; empty where there are none for now.
  public mutating func next() -> [RunLogLine] {
    var buffer = [UInt8](repeating: 0, count: 256 * 1024)
    while true {
      let count = read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count > 0 {
        rest += buffer[..<count]
        let lines = takeLines()
        if lines.isEmpty { continue }
        return lines
      }
      guard let newer = newer() else { return [] }
      // Between the end that was seen and the turn something may have been added.
      let late = read(file, &buffer, buffer.count)
      if late > 0 {
        Glibc.close(newer)
        rest += buffer[..<late]
        let lines = takeLines()
        if lines.isEmpty { continue }
        return lines
      }
      Glibc.close(file)
      file = newer
      identity = Self.identity(newer)
      // Half a line that a crash has left goes with its file.
      rest = []
    }
  }

  /// The file that is next newer than the one that was read, open; nil where there is none.
  private func newer() -> Int32? {
    let files = RunLogFolder.files(in: folder).map { open($0, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) }
    let place = files.firstIndex { $0 >= 0 && Self.identity($0) == identity }
    // One that has been turned out of its last name meanwhile is followed by the oldest that there is.
    let next = place.map { $0 > 0 ? files[$0 - 1] : -1 } ?? files.last { $0 >= 0 } ?? -1
    for file in files where file >= 0 && file != next { Glibc.close(file) }
    return next >= 0 ? next : nil
  }

  private mutating func takeLines() -> [RunLogLine] {
    var lines: [RunLogLine] = []
    var start = rest.startIndex
    while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
      let line = rest[start..<end]
      // A line that a crash has left half is no line.
      if line.count <= Self.longestLine,
        let read = try? JSONDecoder().decode(RunLogLine.self, from: Data(line))
      {
        lines.append(read)
      }
      start = end + 1
    }
    rest.removeSubrange(..<start)
    if rest.count > Self.longestLine { rest = [] }
    return lines
  }

  private static func identity(_ file: Int32) -> UInt64 {
    var status = stat()
    return fstat(file, &status) == 0 ? UInt64(status.st_ino) : 0
  }
}
