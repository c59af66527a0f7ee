import Logging
import MarkedYAML
import NIOPosix
import Synchronization

/// The identity in force, read again when its files change. Connections keep the one that they were made with.
final class Credentials: Sendable {
  private let files: TLSFiles
  private let log: Logger
  private let held: Mutex<Identity>
  /// The files' state at the last reading, good or bad.
  private let marks: Mutex<[String]>

  /// Reads the files. Blocks.
  init(_ files: TLSFiles, log: Logger) throws(FileProblems) {
    self.files = files
    self.log = log
    // Before the reading: what changes in the meantime is seen at the first look.
    marks = Mutex(files.marks())
    held = Mutex(try files.load())
  }

  /// What new connections are made with.
  var current: Identity { held.withLock { $0 } }

  /// Looks at the files again and again until the task is cancelled.
  func watch(every pause: Duration) async {
    while true {
      do {
        try await Task.sleep(for: pause)
        try await NIOThreadPool.singleton.runIfActive { self.refresh() }
      } catch {
        // Cancelled: the agent ends.
        return
      }
    }
  }

  /// Takes the files over if they changed and are good; else what was read before stays in force.
  func refresh() {
    let now = files.marks()
    guard marks.withLock({ $0 }) != now else { return }
    marks.withLock { $0 = now }
    do throws(FileProblems) {
      let fresh = try files.load()
      held.withLock { $0 = fresh }
      log.info("certificates were read again")
    } catch {
      log.error(
        "certificates changed and can't be used; those read before stay in force",
        metadata: ["error": "\(error)"])
    }
  }
}
