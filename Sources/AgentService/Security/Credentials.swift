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

  /// Looks at the files again and again until the task is cancelled. `renewed` is called after each change of what is in force.
  func watch(every pause: Duration, renewed: @escaping @Sendable () -> Void) async {
    while true {
      do {
        try await Task.sleep(for: pause)
        try await NIOThreadPool.singleton.runIfActive {
          if self.refresh() { renewed() }
        }
      } catch {
        // Cancelled: the agent ends.
        return
      }
    }
  }

  /// Takes the files over if they changed and are good, and says whether; else what was read before stays in force.
  private func refresh() -> Bool {
    let now = files.marks()
    guard marks.withLock({ $0 }) != now else { return false }
    marks.withLock { $0 = now }
    do throws(FileProblems) {
      let fresh = try files.load()
      held.withLock { $0 = fresh }
      log.info("certificates were read again")
      return true
    } catch {
      log.error(
        "certificates changed and can't be used; those read before stay in force",
        metadata: ["error": "\(error)"])
      return false
    }
  }
}
