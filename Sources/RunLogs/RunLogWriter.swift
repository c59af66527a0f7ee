import Dispatch
import Glibc
import Ports
import RolloutModel
import Synchronization

/// Writes a run's log on a thread of its own. Lines that the disk is too slow for are dropped and counted, and the log says how
/// many; what can't be written at all is told once.
public final class RunLogWriter: RunLog {
  /// Bytes that may wait for the disk.
  static let mostWaiting = 4 << 20
  /// The longest text of a line, in bytes.
  static let longestText = 4096

  private struct State {
    var waiting: [UInt8] = []
    var dropped = 0
    var isWriting = false
    var isClosed = false
    var hasComplained = false
  }

  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "switchyard.runlog")
  private let file: TurningFile
  private let complain: @Sendable (String) -> Void

  /// A writer for a run; the folder is made where it is missing, and the oldest runs' logs are removed. Blocks for a few file
  /// operations. `complain` is told once where the log can't be written any more.
  public init(
    _ run: String, in folder: RunLogFolder, fileBytes: Int = 8 << 20,
    complain: @escaping @Sendable (String) -> Void
  ) throws(RunLogError) {
    file = try TurningFile(try folder.make(run), most: fileBytes)
    self.complain = complain
    folder.removeOldest(sparing: run)
  }

  /// Takes a line; never waits for the disk.
  public func write(_ line: RunLogLine) {
    var line = line
    line.text = Self.cut(line.text)
    let bytes: [UInt8]
    do { bytes = try canonicalJSON(line) + [UInt8(ascii: "\n")] } catch {
      complain("a line of the log can't be encoded: \(error)")
      return
    }
    let begins = state.withLock { state in
      guard !state.isClosed else { return false }
      guard state.waiting.count + bytes.count <= Self.mostWaiting else {
        state.dropped += 1
        return false
      }
      state.waiting += bytes
      defer { state.isWriting = true }
      return !state.isWriting
    }
    if begins { queue.async { self.drain() } }
  }

  /// Writes what is waiting and takes no more.
  public func close() async {
    state.withLock { $0.isClosed = true }
    await withCheckedContinuation { done in
      queue.async {
        self.drain()
        self.file.close()
        done.resume()
      }
    }
  }

  private func drain() {
    while true {
      let (bytes, dropped) = state.withLock { state in
        defer {
          // Whoever writes next begins anew only once this has found nothing more.
          state.isWriting = !state.waiting.isEmpty
          state.waiting = []
          state.dropped = 0
        }
        return (state.waiting, state.dropped)
      }
      guard !bytes.isEmpty || dropped > 0 else { return }
      var text = bytes
      if dropped > 0 {
        let line = RunLogLine(
          wall: Self.now(), host: nil, source: .rollout,
          text: "\(dropped) lines are missing here: the disk was too slow for them")
        // A line of our own making can always be encoded.
        text += ((try? canonicalJSON(line)) ?? []) + [UInt8(ascii: "\n")]
      }
      guard !file.append(text) else { continue }
      let isFirst = state.withLock { state in
        defer { state.hasComplained = true }
        return !state.hasComplained
      }
      if isFirst { complain("the run's log can't be written: \(String(cString: strerror(errno)))") }
    }
  }

  private static func now() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
  }

  private static func cut(_ text: String) -> String {
    guard text.utf8.count > longestText else { return text }
    return String(decoding: text.utf8.prefix(longestText), as: UTF8.self) + " …"
  }
}

/// A file that turns over. `@unchecked Sendable`: used by the writer's queue alone.
final class TurningFile: @unchecked Sendable {
  private let folder: String
  private let most: Int
  private var lock: WriterLock?
  private var file: Int32
  private var size: Int

  init(_ folder: String, most: Int) throws(RunLogError) {
    self.folder = folder
    self.most = most
    guard let lock = WriterLock(RunLogFolder.lock(in: folder)) else {
      throw RunLogError(
        "the log in \(escapedForTerminal(folder)) can't be locked, so that readers would take it for ended")
    }
    self.lock = lock
    (file, size) = Self.open(folder)
    guard file >= 0 else {
      throw RunLogError(
        "the log in \(escapedForTerminal(folder)) can't be opened: \(String(cString: strerror(errno)))")
    }
  }

  deinit { close() }

  func close() {
    if file >= 0 { Glibc.close(file) }
    file = -1
    lock = nil
  }

  /// False where it could not be written.
  func append(_ bytes: [UInt8]) -> Bool {
    if size > 0, size + bytes.count > most { turn() }
    guard file >= 0 else { return false }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      size += count
      rest = rest.dropFirst(count)
    }
    return true
  }

  private func turn() {
    let files = RunLogFolder.files(in: folder)
    for (newer, older) in zip(files, files.dropFirst()).reversed() { rename(newer, older) }
    Glibc.close(file)
    (file, size) = Self.open(folder)
  }

  private static func open(_ folder: String) -> (Int32, Int) {
    let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW
    let file = Glibc.open(folder + "/log", flags, 0o600)
    var status = stat()
    guard file >= 0, fstat(file, &status) == 0 else { return (file, 0) }
    return (file, Int(status.st_size))
  }
}
