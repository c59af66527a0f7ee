import Glibc

/// SIGTERM of this process, put off while it works: whoever ends it, ends it between two pieces of its work.
enum EndSignal {
  /// From now on the process ends by SIGTERM only while it waits in `poll` below. Programs that it starts are not concerned.
  static func putOff() { mask(SIG_BLOCK) }

  /// As poll(2) does; a SIGTERM that has come since `putOff` ends the process here. `limit` is in milliseconds.
  static func poll(_ descriptor: Int32, _ events: Int16, limit: Int32) -> Int32 {
    var wait = pollfd(fd: descriptor, events: events, revents: 0)
    mask(SIG_UNBLOCK)
    defer { mask(SIG_BLOCK) }
    return Glibc.poll(&wait, 1, limit)
  }

  private static func mask(_ how: Int32) {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGTERM)
    // Fails for no known signal. What was masked before plays no part.
    _ = pthread_sigmask(how, &signals, nil)
  }
}
