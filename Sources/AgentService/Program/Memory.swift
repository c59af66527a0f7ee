import CLinux
import NIOPosix

/// Keeps the agent small: what a burst of requests took goes back to the host once it is over.
enum Memory {
  /// Between two looks for memory that can be given back.
  private static let pause = Duration.seconds(20)
  /// Heaps that threads share: each keeps what it once had.
  private static let heaps: Int32 = 2

  /// At the program's beginning.
  static func shareHeaps() { _ = mallopt(M_ARENA_MAX, heaps) }

  /// Gives back what is free, again and again until the task is cancelled.
  static func giveBack() async {
    while true {
      do {
        try await Task.sleep(for: pause)
        _ = try await NIOThreadPool.singleton.runIfActive { malloc_trim(0) }
      } catch {
        // Cancelled: the agent ends.
        return
      }
    }
  }
}
