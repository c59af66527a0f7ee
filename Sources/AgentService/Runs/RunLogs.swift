import FoundationEssentials
import Glibc
import HTTPTypes
import RolloutModel
import SystemPackage

/// The logs of what the agent carried out: one file a run, lines of JSON, from what the run is to how it ended. The agents of both
/// slots share them; whoever writes one holds its lock. All of this blocks.
struct RunLogs: Sendable {
  let folder: StateFolder
  /// The bytes of one log.
  let limit: Int64
  /// The bytes of all of them together, and their number: beyond that the oldest go.
  let total: Int64
  let count: Int

  /// What a run is.
  struct About: Hashable, Sendable {
    /// `command`, or another kind of run.
    let kind: String
    let name: String
    /// Who asked for it.
    let client: String

    func json(_ id: RunID) -> JSON {
      ["id": .text(id.text), "kind": .text(kind), "name": .text(name), "client": .text(client)]
    }
  }

  private static let ending = ".log"
  private static let newEnding = ".new"
  /// Seconds; a log is begun in far less.
  private static let newFor = 60

  /// Where a run's log is: for whoever writes it and whoever reads it.
  func path(_ id: RunID) -> String { folder.path(id.text + Self.ending) }

  /// Begins a run's log. Refused where there was such a run already: nothing is carried out twice by one name.
  func begin(_ id: RunID, _ about: About) throws(AgentError) -> RunLog {
    try folder.make()
    try tidy()
    // Nobody sees it before it is locked and says what it is.
    let new = folder.path(id.text + Self.newEnding)
    do {
      let file = try OpenFile(new, .readWrite, options: [.create, .exclusiveCreate])
      defer { unlink(new) }
      guard try file.lock() else { throw Errno.wouldBlock }
      let log = RunLog(id: id, file: file, limit: limit)
      try log.append(["run": about.json(id)])
      guard link(new, path(id)) == 0 else { throw Errno(rawValue: errno) }
      return log
    } catch {
      if error as? Errno == .fileExists {
        throw AgentError(
          .conflict, "run_exists", "there was a run \(id.text) already",
          hint: "read its log: GET /v1/runs/\(id.text)/log; another run needs another name")
      }
      throw StateFolder.failure("the run's log can't be written", error as? Errno ?? .ioError)
    }
  }

  /// A run's log for reading; nil where there is none.
  func open(_ id: RunID) throws(AgentError) -> RunReader? {
    do { return RunReader(file: try OpenFile(path(id), .readOnly)) } catch {
      if error as? Errno == .noSuchFileOrDirectory { return nil }
      throw StateFolder.failure("the run's log can't be read", error as? Errno ?? .ioError)
    }
  }

  /// The runs whose logs are here, latest first.
  func all() throws(AgentError) -> [(id: RunID, reader: RunReader)] {
    var all: [(id: RunID, reader: RunReader)] = []
    for entry in try folder.entries().reversed() {
      guard let id = id(of: entry), let reader = try open(id) else { continue }
      all.append((id, reader))
    }
    return all
  }

  /// Removes the oldest logs until there is room for one more; those that are being written stay.
  private func tidy() throws(AgentError) {
    var entries = try folder.entries()
    let now = StateFolder.now()
    for entry in entries
    where entry.name.hasSuffix(Self.newEnding) && abs(now - entry.modified) > Self.newFor && !isWritten(entry)
    {
      // Left by a program that was killed. A younger one may be another run's, which is about to lock it.
      try folder.remove(entry.name)
    }
    entries = entries.filter { id(of: $0) != nil }
    var bytes = entries.reduce(Int64(0)) { $0.addingReportingOverflow($1.bytes).partialValue }
    var files = entries.count
    for entry in entries where files >= count || bytes > total - limit {
      guard !isWritten(entry) else { continue }
      try folder.remove(entry.name)
      bytes -= entry.bytes
      files -= 1
    }
  }

  private func id(of entry: StateFolder.Entry) -> RunID? {
    guard entry.name.hasSuffix(Self.ending) else { return nil }
    return RunID(String(entry.name.dropLast(Self.ending.count)))
  }

  /// Whether somebody holds the lock, or that can't be told.
  private func isWritten(_ entry: StateFolder.Entry) -> Bool {
    // A file that is gone needs no removing either.
    guard let file = try? OpenFile(folder.path(entry.name), .readOnly) else { return true }
    return (try? file.lock(shared: true)) != true
  }
}

/// A run's log while it is being written. All of this blocks.
final class RunLog: Sendable {
  let id: RunID
  private let file: OpenFile
  private let limit: Int64

  fileprivate init(id: RunID, file: OpenFile, limit: Int64) {
    self.id = id
    self.file = file
    self.limit = limit
  }

  /// Adds a line, with the time. Beyond the bound only the end is added: the last line says how it ended.
  func append(_ line: JSON, isEnd: Bool = false) throws {
    guard case .object(var fields) = line else { return }
    fields["at"] = .number(Int64(Date().timeIntervalSince1970 * 1000))
    let bytes = JSON.object(fields).bytes + [UInt8(ascii: "\n")]
    let size = try file.size
    guard isEnd || size + Int64(bytes.count) <= limit else { return }
    try file.write(bytes, at: size)
  }
}

/// A run's log for reading. All of this blocks.
struct RunReader: Sendable {
  let file: OpenFile

  /// How a run stands.
  enum State: String, Sendable {
    case running
    case ended
    /// Its log has no end, and nobody writes it: the agent went away in the midst of it.
    case brokenOff = "broken_off"
  }

  /// No line that matters here, the first or the last, is longer.
  private static let longest = 8192

  /// Whether somebody writes it.
  func isWritten() throws -> Bool {
    guard try file.lock(shared: true) else { return true }
    flock(file.descriptor.rawValue, LOCK_UN)
    return false
  }

  /// What the run is, how it stands, and how it ended.
  func summary() throws -> JSON {
    // In this order: a run that ends meanwhile is one that runs.
    let isWritten = try isWritten()
    let size = try file.size
    let first = try file.read(Self.longest, at: 0).split(separator: UInt8(ascii: "\n")).first
    let begin = first.flatMap { Self.object(Array($0)) } ?? [:]
    var fields: [String: JSON] = [:]
    if case .object(let run)? = begin["run"] { fields = run }
    fields["began_at"] = begin["at"] ?? .null
    let end = try isWritten ? nil : lastLine(size).flatMap { Self.end($0) }
    fields["state"] = .text((isWritten ? State.running : end == nil ? .brokenOff : .ended).rawValue)
    fields["ended_at"] = end?["at"] ?? .null
    fields["end"] = end.map { end in .object(end.filter { $0.key != "at" }) } ?? .null
    fields["bytes"] = .number(size)
    return .object(fields)
  }

  private func lastLine(_ size: Int64) throws -> [String: JSON]? {
    let start = max(0, size - Int64(Self.longest))
    var lines = try file.read(Self.longest, at: start).split(
      separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    // A line that was not ended was cut off.
    guard lines.popLast()?.isEmpty == true, let last = lines.popLast(), !lines.isEmpty || start == 0 else {
      return nil
    }
    return Self.object(Array(last))
  }

  private static func end(_ line: [String: JSON]) -> [String: JSON]? {
    line.keys.contains { CommandEnd.keys.contains($0) } ? line : nil
  }

  private static func object(_ bytes: [UInt8]) -> [String: JSON]? {
    // A line that is no JSON says nothing.
    guard case .object(let fields)? = try? JSONDecoder().decode(JSON.self, from: Data(bytes)) else {
      return nil
    }
    return fields
  }
}
