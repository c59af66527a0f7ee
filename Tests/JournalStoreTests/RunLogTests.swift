import Glibc
import Ports
import RolloutModel
import Synchronization
import Testing

@testable import Controller
@testable import RunLogs

@Suite("Logs of runs")
struct RunLogTests {
  private let scratch: Scratch
  private let folder: RunLogFolder

  init() throws {
    scratch = try Scratch()
    #expect(mkdir(scratch.state, 0o700) == 0)
    folder = RunLogFolder(state: scratch.state)
  }

  private func line(_ text: String, host: String? = "h1", _ source: RunLogSource = .gate) -> RunLogLine {
    RunLogLine(wall: 1, host: host, source: source, text: text)
  }

  private func writer(_ run: String = "demo-1", fileBytes: Int = 8 << 20) throws -> RunLogWriter {
    try RunLogWriter(run, in: folder, fileBytes: fileBytes) { Issue.record("\($0)") }
  }

  /// All that can be read now.
  private func all(_ reader: inout RunLogReader) -> [String] {
    var texts: [String] = []
    while case let lines = reader.next(), !lines.isEmpty { texts += lines.map(\.text) }
    return texts
  }

  private func texts(_ run: String = "demo-1") throws -> [String] {
    var reader = try RunLogReader(run, in: folder)
    defer { reader.close() }
    return all(&reader)
  }

  @Test("What is written is read, in its order, by the path that the identifier makes")
  func roundTrip() async throws {
    let writer = try writer()
    let lines = RunLogSource.allCases.map { line("said \u{1b}[31m by \($0.rawValue)\n", host: nil, $0) }
    for line in lines { writer.write(line) }
    await writer.close()
    var reader = try RunLogReader("demo-1", in: folder)
    defer { reader.close() }
    #expect(reader.next() == lines)
    #expect(access(try folder.path(of: "demo-1") + "/log", F_OK) == 0)
  }

  @Test(
    "What can't be a run's identifier makes no path",
    arguments: ["", ".", "..", "../x", "a/b", "-x", "a b", "a\n", "é"])
  func hostileNames(_ run: String) throws {
    #expect(throws: RunLogError.self) { try folder.path(of: run) }
    #expect(throws: RunLogError.self) { try RunLogWriter(run, in: folder) { _ in } }
    #expect(throws: RunLogError.self) { try RunLogReader(run, in: folder) }
  }

  @Test("A log that is missing is an error that says so, and nothing is made")
  func missing() throws {
    let error = #expect(throws: RunLogError.self) { try RunLogReader("demo-1", in: folder) }
    #expect(error?.isMissing == true)
    #expect(access(try folder.path(of: "demo-1"), F_OK) != 0)
  }

  @Test("Files turn over: the newest lines are kept, in their order, and no more than so many files")
  func turnsOver() async throws {
    let writer = try writer(fileBytes: 2000)
    for number in 0..<500 { writer.write(line("line \(number)")) }
    await writer.close()
    // Written in pieces of any size: what was queued together is written together.
    let texts = try texts()
    let numbers = texts.compactMap { Int($0.dropFirst(5)) }
    #expect(numbers == Array((500 - numbers.count)..<500) && !numbers.isEmpty)
  }

  @Test("A reader that follows misses nothing when files turn over")
  func follows() async throws {
    let writer = try writer(fileBytes: 1000)
    writer.write(line("line 0"))
    await Task.yield()
    var read: [String] = []
    var reader: RunLogReader?
    defer { reader?.close() }
    for number in 1..<300 {
      writer.write(line("line \(number)"))
      if number % 5 == 0 {
        if reader == nil { reader = try RunLogReader("demo-1", in: folder) }
        #expect(reader?.isBeingWritten == true)
        // A disk of its own pace: what is there yet is read.
        try await Task.sleep(for: .milliseconds(2))
        if var following = reader {
          read += all(&following)
          reader = following
        }
      }
    }
    await writer.close()
    if var following = reader {
      read += all(&following)
      reader = following
    }
    #expect(read == (0..<300).map { "line \($0)" })
    #expect(reader?.isBeingWritten == false)
  }

  @Test("A line that a crash has left half is skipped, and so is one that is no line")
  func halfLines() async throws {
    let writer = try writer()
    writer.write(line("first"))
    await writer.close()
    let path = try folder.path(of: "demo-1") + "/log"
    let file = open(path, O_WRONLY | O_APPEND)
    let bytes = Array("{\"host\":\"h1\",\"sou\nnonsense\n".utf8)
    #expect(Glibc.write(file, bytes, bytes.count) == bytes.count)
    close(file)
    let again = try self.writer()
    again.write(line("last"))
    await again.close()
    #expect(try texts() == ["first", "last"])
  }

  @Test("A text that is too long is cut")
  func longText() async throws {
    let writer = try writer()
    writer.write(line(String(repeating: "ä", count: 1 << 20)))
    await writer.close()
    let text = try #require(try texts().first)
    #expect(text.utf8.count <= RunLogWriter.longestText + 8 && text.hasSuffix("…"))
  }

  @Test("Logs of the runs that were written longest ago go; one that is being written stays")
  func oldRuns() async throws {
    let living = try writer("run-living")
    living.write(line("alive"))
    for number in 0..<RunLogFolder.mostRuns + 5 {
      let name = "run-\(number)"
      let path = try folder.path(of: name)
      #expect(mkdir(path, 0o700) == 0)
      let file = open(path + "/log", O_CREAT | O_WRONLY, 0o600)
      var times = [timespec(tv_sec: number + 1000, tv_nsec: 0), timespec(tv_sec: number + 1000, tv_nsec: 0)]
      #expect(futimens(file, &times) == 0)
      close(file)
    }
    var old = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, try folder.path(of: "run-living") + "/log", &old, 0) == 0)
    folder.removeOldest(sparing: "run-204")
    #expect(access(try folder.path(of: "run-0"), F_OK) != 0)
    #expect(access(try folder.path(of: "run-204"), F_OK) == 0)
    #expect(access(try folder.path(of: "run-living"), F_OK) == 0)
    await living.close()
  }

  @Test("A log that can't be written is told once, and nobody waits for it")
  func unwritable() async throws {
    let told = Mutex(0)
    #expect(throws: RunLogError.self) {
      try RunLogWriter("demo-1", in: RunLogFolder(state: "/proc")) { _ in told.withLock { $0 += 1 } }
    }
    let writer = try RunLogWriter("gone", in: folder, fileBytes: 1) { _ in told.withLock { $0 += 1 } }
    writer.write(line("one"))
    try await Task.sleep(for: .milliseconds(50))
    // The next turn finds no place for a file.
    let path = try folder.path(of: "gone")
    for name in ["log", "log.1", "writer"] { unlink("\(path)/\(name)") }
    #expect(rmdir(path) == 0)
    for _ in 0..<20 { writer.write(line("two")) }
    await writer.close()
    #expect(told.withLock { $0 } == 1)
  }

  @Test("Of a unit's last lines those are news that were not there the last time")
  func unitLines() {
    #expect(HostLog.news(in: ["a", "b"], since: []) == ["a", "b"])
    #expect(HostLog.news(in: ["a", "b", "c"], since: ["a", "b"]) == ["c"])
    #expect(HostLog.news(in: ["b", "c", "d"], since: ["a", "b", "c"]) == ["d"])
    #expect(HostLog.news(in: ["x", "y"], since: ["a", "b"]) == ["x", "y"])
    #expect(HostLog.news(in: ["a", "a", "a"], since: ["a", "a"]) == ["a"])
    #expect(HostLog.news(in: [], since: ["a"]).isEmpty)
  }
}
