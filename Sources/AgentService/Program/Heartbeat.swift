import Logging
import NIOCore
import NIOPosix
import SystemdBus

/// Tells systemd that the agent lives: only where every event loop, and the pool that tasks run on, took a turn.
struct Heartbeat: Sendable {
  let loops: MultiThreadedEventLoopGroup
  let log: Logger

  /// The agent serves.
  func ready() async { await tell { () throws(BusError) in try ServiceNotice.ready() } }

  /// The agent drains.
  func stopping() async { await tell { () throws(BusError) in try ServiceNotice.stopping() } }

  /// Gives signs of life until the task is cancelled, if systemd waits for them.
  func beat() async {
    guard let patience = ServiceNotice.watchdog else { return }
    while true {
      do {
        try await Task.sleep(for: patience / 2)
        for loop in loops.makeIterator() { try await loop.submit {}.get() }
      } catch {
        // Cancelled, or the loops are ending.
        return
      }
      await tell { () throws(BusError) in try ServiceNotice.alive() }
    }
  }

  private func tell(_ what: @escaping @Sendable () throws(BusError) -> Void) async {
    do { try await NIOThreadPool.singleton.runIfActive { try what() } } catch {
      log.error("systemd could not be told", metadata: ["error": .string("\(error)")])
    }
  }
}
