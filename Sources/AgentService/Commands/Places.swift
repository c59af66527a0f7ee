import Synchronization

/// So many places, for as many as run at once.
final class Places: Sendable {
  private let free: Mutex<Int>

  init(_ count: Int) { free = Mutex(count) }

  /// A place, which is given back at the end of its life; nil where there is none.
  func take() -> Place? {
    let isTaken = free.withLock { free in
      guard free > 0 else { return false }
      free -= 1
      return true
    }
    return isTaken ? Place(self) : nil
  }

  /// One that is taken.
  final class Place: Sendable {
    private let places: Places

    fileprivate init(_ places: Places) { self.places = places }

    deinit { places.free.withLock { $0 += 1 } }
  }
}
