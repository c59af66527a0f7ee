import EventLoop
import Glibc

/// Makes TCP connections without blocking.
actor Dialer {
  private nonisolated let loop: EventLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  init(loop: EventLoop) { self.loop = loop }

  /// A connected, non-blocking descriptor to the first of the addresses that answers. Each gets its share of the time.
  func connect(
    _ addresses: [SocketAddress], until deadline: ContinuousClock.Instant
  ) async throws(SSHError.Reason) -> Int32 {
    var last = SSHError.Reason.connect("no address")
    for (index, address) in addresses.enumerated() {
      let share = (deadline - EventLoop.now) / (addresses.count - index)
      guard share > .zero else { throw .deadline(.connecting) }
      do throws(SSHError.Reason) {
        return try await connect(address, until: EventLoop.now + share)
      } catch {
        last = error
      }
    }
    throw last
  }

  private func connect(
    _ address: SocketAddress, until deadline: ContinuousClock.Instant
  ) async throws(SSHError.Reason) -> Int32 {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(address.family, type, 0)
    guard descriptor >= 0 else { throw .local("socket: " + String(cString: strerror(errno))) }
    var code: Int32 = 0
    var one: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    let result = address.bytes.withUnsafeBytes { bytes in
      Glibc.connect(
        descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }
    if result != 0 { code = errno }
    if code == EINPROGRESS { code = await outcome(of: descriptor, until: deadline) }
    guard code != 0 else { return descriptor }
    close(descriptor)
    throw code == ETIMEDOUT ? .deadline(.connecting) : .connect(String(cString: strerror(code)))
  }

  /// The error number that the connecting ends with; `ETIMEDOUT` at the deadline.
  private func outcome(of descriptor: Int32, until deadline: ContinuousClock.Instant) async -> Int32 {
    await withCheckedContinuation { continuation in
      var watch: Watch?
      var timer: LoopTimer?
      func end(_ code: Int32) {
        guard watch != nil else { return }
        watch?.cancel()
        watch = nil
        timer?.cancel()
        continuation.resume(returning: code)
      }
      do throws(EventLoopError) {
        watch = try loop.watch(descriptor, .write) { _ in
          var code: Int32 = 0
          var size = socklen_t(MemoryLayout<Int32>.size)
          getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
          end(code)
        }
        timer = loop.at(deadline) { end(ETIMEDOUT) }
      } catch {
        continuation.resume(returning: error.code)
      }
    }
  }
}
