import GRDB
import Glibc
import Ports
import RolloutModel

/// The event log of rollouts in `directory`/journal.sqlite. Records of a rollout are numbered from 1 without a gap and chained by
/// hash; one call of ``append(_:to:wall:)`` is one durable commit.
///
/// Several processes may read and write one journal, each with one connection. Writers take turns by a lock beside the file, for
/// one commit each: no writer ever meets another one's checkpoint. All work is done on a thread of the connection's own.
public final class JournalStore: Journal, Sendable {
  /// The longest wait for another process's commit, in milliseconds.
  static let patience = 10_000

  private let path: String
  private let queue: DatabaseQueue
  /// Nil where the journal was opened for reading alone.
  private let writers: FileLock?
  /// Nil where SQLite sees to it that nobody writes during a read.
  private let still: StillFile?

  /// Opens the journal in a folder, both made where they are missing, for their owner alone. Blocks for a few file operations.
  public init(directory: String) throws(JournalError) {
    try StateFolder.make(directory)
    // Locks, sockets and logs of rollouts go there before a controller has made it.
    try StateFolder.make(StateFolder.rollouts(in: directory))
    still = nil
    path = StateFolder.journal(in: directory)
    let writers = try FileLock(opening: StateFolder.writersLock(in: directory))
    self.writers = writers
    guard writers.lock(within: Self.patience) else { throw JournalFailures.busy(path) }
    defer { writers.unlock() }
    try StateFolder.makeFile(path)
    let path = path
    do {
      queue = try DatabaseQueue(path: path, configuration: Self.configuration(readonly: false))
      try queue.inDatabase { db in
        guard try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL") == "wal" else {
          throw JournalError(
            "the file system of \(path) allows no write-ahead log",
            hint: "name a folder on a local file system with --state")
        }
        // Every commit is on the disk before it is acted on.
        try db.execute(sql: "PRAGMA synchronous = FULL")
        try JournalSchema.prepare(db, path: path)
      }
    } catch {
      throw JournalFailures.error(error, doing: "open", path: path)
    }
    try StateFolder.sync(directory)
  }

  /// Whether a folder holds a journal. Throws where that can't be told, as for want of rights.
  public static func isPresent(in directory: String) throws(JournalError) -> Bool {
    guard access(StateFolder.journal(in: directory), F_OK) != 0 else { return true }
    guard errno == ENOENT || errno == ENOTDIR else {
      throw JournalError(
        "can't look for a journal in \(escapedForTerminal(directory)): \(String(cString: strerror(errno)))",
        hint: "ask as the user that runs rollouts, or name the right folder with --state")
    }
    return false
  }

  /// Opens the journal in a folder for reading alone. Throws where there is none. Blocks for a few file operations.
  public init(reading directory: String) throws(JournalError) {
    path = StateFolder.journal(in: directory)
    writers = nil
    guard access(path, F_OK) == 0 else {
      throw JournalError(
        "there is no journal in \(directory): \(String(cString: strerror(errno)))",
        hint: "start a rollout first, or name the right folder with --state")
    }
    let path = path
    do {
      (queue, still) = try Self.openForReading(path, in: directory)
    } catch {
      throw JournalFailures.error(error, doing: "open", path: path)
    }
  }

  private static func openForReading(
    _ path: String, in directory: String
  ) throws -> (DatabaseQueue, StillFile?) {
    do {
      return (try openForReading(path, named: path), nil)
    } catch let error as DatabaseError where error.resultCode == .SQLITE_CANTOPEN {
      guard let still = StillFile(path, in: directory) else { throw error }
      return (try openForReading(path, named: still.uri), still)
    }
  }

  private static func openForReading(_ path: String, named name: String) throws -> DatabaseQueue {
    let queue = try DatabaseQueue(path: name, configuration: configuration(readonly: true))
    try queue.inDatabase { db in
      guard try JournalSchema.isReady(db, path: path) else {
        throw JournalError(
          "\(path) is empty", hint: "start a rollout first, or name the right folder with --state")
      }
    }
    return queue
  }

  private static func configuration(readonly: Bool) -> Configuration {
    var configuration = Configuration()
    configuration.readonly = readonly
    configuration.label = "journal"
    configuration.busyMode = .timeout(Double(patience) / 1000)
    return configuration
  }

  // MARK: Writing

  /// Begins a rollout's log with its plan. Throws where the ID is taken.
  public func create(_ plan: Plan, wall: Int64) async throws(JournalError) {
    try StateFolder.check(plan.id)
    try await write { db in
      guard try Log.find(plan.id, db) == nil else {
        throw JournalError("there is a rollout \(plan.id) already", hint: "choose another ID")
      }
      var log = try Log.make(for: plan, wall: wall, db)
      try log.append([.plan(plan)], wall: wall, db)
    }
  }

  /// Appends entries to a rollout's log in one commit; returns once they are durable. After an error nothing of them is there.
  public func append(
    _ entries: [JournalEntry], to rollout: String, wall: Int64
  ) async throws(JournalError) {
    guard !entries.isEmpty else { return }
    try await write { db in
      var log = try Log.get(rollout, db)
      try log.append(entries, wall: wall, db)
    }
  }

  /// Notes how a rollout stands, for lists.
  public func note(_ state: RolloutState, of rollout: String) async throws(JournalError) {
    try await write { db in
      let log = try Log.get(rollout, db)
      try db.execute(
        sql: "UPDATE rollouts SET state = ? WHERE number = ?", arguments: [state.rawValue, log.number])
    }
  }

  // MARK: Reading

  /// At most `limit` records of a rollout, from the one after number `sequence` on; empty at the end. Every hash is checked.
  /// Throws, naming the record, where one of them is damaged or missing; those before and behind it can still be read.
  public func records(
    of rollout: String, after sequence: Int64 = 0, limit: Int
  ) async throws(JournalError) -> [JournalRecord] {
    try await read { db in try Log.get(rollout, db).records(after: sequence, limit: limit, db) }
  }

  /// What is in the file, damaged or not: of one rollout, or of all. With `checkingFile`, SQLite's own check of the whole file is
  /// made, too. Throws where not even the list of rollouts can be looked for.
  public func inspect(
    _ selection: RolloutSelection, checkingFile: Bool = false
  ) async throws(JournalError) -> JournalInspection {
    try await read { db in
      let (rows, damage) = try ListedRollout.all(db)
      let chosen =
        switch selection {
        case .all: rows
        case .newest: Array(rows.prefix(1))
        case .named(let id): rows.filter { $0.id == id }
        }
      return JournalInspection(
        damage: (checkingFile ? try FileCheck.damage(db) : []) + damage,
        rollouts: try chosen.map { try RolloutInspection($0, of: self, db) })
    }
  }

  /// The rollouts that are meant, the newest first.
  public func rollouts(_ selection: RolloutSelection = .all) async throws(JournalError) -> [RolloutSummary] {
    try await read { db in
      switch selection {
      case .all: try Log.summaries(where: "", [], db)
      case .newest: try Log.summaries(where: "WHERE number = (SELECT max(number) FROM rollouts)", [], db)
      case .named(let id): try Log.summaries(where: "WHERE id = ?", [id], db)
      }
    }
  }

  // MARK: The connection's thread

  /// One transaction while no other process writes. A cancelled task does not tear it: its outcome is always known.
  private func write(_ body: @escaping @Sendable (Database) throws -> Void) async throws(JournalError) {
    guard let writers else {
      throw JournalError("the journal \(path) was opened for reading alone", hint: "report this as a bug")
    }
    let path = path
    try await onItsThread("write") { db in
      guard writers.lock(within: Self.patience) else { throw JournalFailures.busy(path) }
      defer { writers.unlock() }
      try db.inTransaction(.immediate) {
        try body(db)
        return .commit
      }
    }
  }

  /// One view of the journal, whatever is written meanwhile.
  func read<Value: Sendable>(
    _ body: @escaping @Sendable (Database) throws -> Value
  ) async throws(JournalError) -> Value {
    let still = still
    return try await onItsThread("read") { db in
      var value: Value?
      try db.inTransaction(.deferred) {
        value = try body(db)
        // There is nothing to commit, and SQLite commits nothing once it has met damage.
        return .rollback
      }
      try still?.check()
      guard let value else { throw JournalError("nothing was read", hint: "report this as a bug") }
      return value
    }
  }

  private func onItsThread<Value: Sendable>(
    _ what: String, _ body: @escaping @Sendable (Database) throws -> Value
  ) async throws(JournalError) -> Value {
    let path = path
    let result: Result<Value, JournalError> = await withCheckedContinuation { continuation in
      queue.asyncWriteWithoutTransaction { db in
        do {
          continuation.resume(returning: .success(try body(db)))
        } catch {
          continuation.resume(returning: .failure(JournalFailures.error(error, doing: what, path: path)))
        }
      }
    }
    return try result.get()
  }
}
