import CLinux
import EventLoop
import Glibc

/// A listening Unix socket whose connections lead to one port as a host sees it. The connection to that host is made when
/// it is needed.
///
/// A connection that the far side refuses is closed at once. When there is no way to the host itself, the socket goes
/// away as well, before that connection is closed: so the two can be told apart. It comes back when there is a way again.
actor Tunnel {
  /// Where to connect to, for whom the folder lets in.
  nonisolated let path: String
  private nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
  private let link: HostLink
  private let host: String
  private let port: Int
  private var descriptor: Int32 = -1
  private var watch: Watch?
  private var opening = 0
  private var isClosed = false
  private var isRecovering = false

  /// More are left to wait in the socket's own queue.
  private static let mostOpening = 32
  /// The first and the longest wait between two tries to reach the host again.
  private static let recovery: (first: Duration, longest: Duration) = (.seconds(1), .seconds(30))

  init(path: String, through link: HostLink, to host: String, port: Int, loop: EventLoop) {
    self.path = path
    self.link = link
    self.host = host
    self.port = port
    self.loop = loop
  }

  isolated deinit { close() }

  /// Begins to listen, where it doesn't yet.
  func open() throws(LocalFileError) {
    guard descriptor < 0, !isClosed else { return }
    let (listener, code) = listeningUnixSocket(path)
    guard code == 0 else {
      if listener >= 0 { Glibc.close(listener) }
      throw LocalFileError(path: path, code: code)
    }
    do throws(EventLoopError) {
      watch = try loop.watch(listener, .read) { [weak self] _ in self?.assumeIsolated { $0.accept() } }
    } catch {
      Glibc.close(listener)
      unlink(path)
      throw LocalFileError(path: path, code: error.code)
    }
    descriptor = listener
  }

  /// Takes no new connections; those under way go on.
  func close() {
    isClosed = true
    stopListening()
  }

  private func stopListening() {
    guard descriptor >= 0 else { return }
    watch?.cancel()
    watch = nil
    unlink(path)
    Glibc.close(descriptor)
    descriptor = -1
  }

  private func accept() {
    while descriptor >= 0, opening < Self.mostOpening {
      let accepted = accept4(descriptor, nil, nil, Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
      guard accepted >= 0 else {
        // What waits there is told again and again: without a descriptor for it, let some time go by.
        if [EMFILE, ENFILE, ENOMEM].contains(errno) { return pause() }
        break
      }
      opening += 1
      Task { await carry(accepted) }
    }
    watch?.setInterest(opening < Self.mostOpening ? .read : [])
  }

  private func pause() {
    watch?.setInterest([])
    loop.after(.milliseconds(100)) { [weak self] in self?.assumeIsolated { $0.accept() } }
  }

  private func carry(_ accepted: Int32) async {
    // Keeps the connection open until the socket is away.
    let held = fcntl(accepted, F_DUPFD_CLOEXEC, 0)
    do throws(SSHError) {
      try await link.forward(descriptor: accepted, host: host, port: port)
    } catch {
      switch error.reason {
      case .refused, .deadline(.opening): break
      default: recover(after: Self.recovery.first)
      }
    }
    if held >= 0 { Glibc.close(held) }
    opening -= 1
    accept()
  }

  // MARK: Without a way to the host

  private func recover(after wait: Duration) {
    stopListening()
    guard !isRecovering, !isClosed else { return }
    isRecovering = true
    loop.after(wait) { [weak self] in
      guard let self else { return }
      Task { await self.tryAgain(after: wait) }
    }
  }

  private func tryAgain(after wait: Duration) async {
    // Whoever asked for the tunnel meanwhile has opened it.
    guard descriptor < 0, !isClosed else {
      isRecovering = false
      return
    }
    do {
      _ = try await link.connection()
      try open()
      isRecovering = false
    } catch {
      isRecovering = false
      recover(after: min(wait * 2, Self.recovery.longest))
    }
  }
}
