import CLinux
import Glibc
import Synchronization

@testable import SSHTransport

/// A connected descriptor that blocks, closed with its owner.
final class Connection: Sendable {
  let descriptor: Int32

  init(descriptor: Int32) {
    self.descriptor = descriptor
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
  }

  deinit { close(descriptor) }

  /// A connection to a Unix socket.
  static func unix(_ path: String) throws -> Connection {
    let (descriptor, code) = connectedUnixSocket(path)
    guard code == 0 else {
      if descriptor >= 0 { close(descriptor) }
      throw LocalFileError(path: path, code: code)
    }
    return Connection(descriptor: descriptor)
  }

  /// False once the other side takes nothing any more.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// No more will be sent.
  func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// The next bytes; empty at the end.
  func receive(upTo limit: Int = 65536) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: limit) { buffer, filled in
      filled = max(0, recv(descriptor, buffer.baseAddress, limit, 0))
    }
  }

  /// So many bytes, or fewer at the end.
  func receive(atLeast count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      let more = receive()
      if more.isEmpty { break }
      bytes += more
    }
    return bytes
  }

  /// Everything up to the end.
  func receiveAll() -> [UInt8] { receive(atLeast: .max) }
}

/// A server that runs a script for each connection, on a thread of its own. Ends with its owner.
final class Server: Sendable {
  enum Place {
    /// A free port of loopback.
    case tcp
    case unix(String)
  }

  /// 0 on a Unix socket.
  let port: Int
  private let listener: Int32
  private let count = Counter()

  /// Connections so far.
  var accepted: Int { count.value.load(ordering: .relaxed) }

  init(_ place: Place = .tcp, script: @escaping @Sendable (Connection) -> Void) throws {
    switch place {
    case .tcp: (listener, port) = try listeningSocket(backlog: 512)
    case .unix(let path):
      let (descriptor, code) = listeningUnixSocket(path)
      guard code == 0 else { throw LocalFileError(path: path, code: code) }
      _ = fcntl(descriptor, F_SETFL, 0)
      (listener, port) = (descriptor, 0)
    }
    let (listener, count) = (listener, count)
    onThread {
      while true {
        // A program that another test starts meanwhile must not hold it open.
        let descriptor = accept4(listener, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
        guard descriptor >= 0 else { break }
        count.value.add(1, ordering: .relaxed)
        onThread { script(Connection(descriptor: descriptor)) }
      }
      close(listener)
    }
  }

  /// The thread sees the end and closes.
  deinit { shutdown(listener, Int32(SHUT_RDWR)) }

  private final class Counter: Sendable {
    let value = Atomic<Int>(0)
  }

  /// Sends back what comes.
  static func echo() throws -> Server {
    try Server { connection in
      while true {
        let bytes = connection.receive()
        if bytes.isEmpty || !connection.send(bytes) { break }
      }
    }
  }
}

/// Runs `body` on a thread of its own, which nobody waits for.
private func onThread(_ body: @escaping @Sendable () -> Void) {
  final class Box {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  let code = pthread_create(
    &thread, nil,
    { context in
      if let context { Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body() }
      return nil
    }, Unmanaged.passRetained(Box(body)).toOpaque())
  precondition(code == 0, "no thread for a test: error \(code)")
  pthread_detach(thread)
}
