import CLinux
import Glibc
import Synchronization

/// A system call of a test failed.
struct CallFailed: Error {
  var call: String
  var code = errno
}

/// Runs `body` on a thread of its own, which nobody waits for.
func onThread(_ body: @escaping @Sendable () -> Void) {
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

/// One accepted connection, blocking.
struct Connection {
  let descriptor: Int32

  /// False once the other side is gone.
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

  @discardableResult
  func send(_ text: String) -> Bool { send(Array(text.utf8)) }

  /// Reads to the empty line or the end.
  func readHead() -> String {
    var head: [UInt8] = []
    var byte: UInt8 = 0
    while !head.suffix(4).elementsEqual("\r\n\r\n".utf8), recv(descriptor, &byte, 1, 0) == 1 {
      head.append(byte)
    }
    return String(decoding: head, as: UTF8.self)
  }

  /// Says nothing until the other side is gone.
  func waitForEnd() {
    var byte: UInt8 = 0
    while recv(descriptor, &byte, 1, 0) > 0 {}
  }
}

/// A server on loopback or on a Unix socket that does to each connection what its script says, each on a thread of
/// its own. It keeps what was asked. Ends with its owner.
final class TestServer: Sendable {
  enum Place {
    case ipv4, ipv6
    case unix(path: String)
  }

  private final class Log: Sendable {
    let heads = Mutex<[String]>([])
  }

  /// The TCP port; 0 on a Unix socket.
  let port: Int
  private let listener: Int32
  private let log = Log()

  /// The requests so far, each up to its empty line.
  var requests: [String] { log.heads.withLock { $0 } }

  /// Reads a request's head, runs `script`, closes.
  convenience init(_ place: Place = .ipv4, answering script: @escaping @Sendable (Connection) -> Void) throws
  {
    try self.init(place, readsHead: true, script)
  }

  /// Answers each request with this text and closes.
  convenience init(_ place: Place = .ipv4, text: String) throws {
    try self.init(place, readsHead: true) { $0.send(text) }
  }

  /// Runs `script` as soon as a connection is there, closes.
  convenience init(_ place: Place = .ipv4, accepting script: @escaping @Sendable (Connection) -> Void) throws
  {
    try self.init(place, readsHead: false, script)
  }

  private init(_ place: Place, readsHead: Bool, _ script: @escaping @Sendable (Connection) -> Void) throws {
    let listener = try listen(place)
    self.listener = listener
    port = localPort(of: listener)
    let log = log
    onThread {
      while true {
        // A program that another test starts meanwhile must not hold it open.
        let descriptor = accept4(listener, nil, nil, Int32(SOCK_CLOEXEC.rawValue))
        guard descriptor >= 0 else { break }
        onThread {
          let connection = Connection(descriptor: descriptor)
          if readsHead {
            let head = connection.readHead()
            log.heads.withLock { $0.append(head) }
          }
          script(connection)
          close(descriptor)
        }
      }
      close(listener)
    }
  }

  // Wakes the accepting thread, which closes the listener.
  deinit { shutdown(listener, Int32(SHUT_RDWR)) }
}

/// A loopback port on which nothing listens at present.
func freePort() throws -> Int {
  let listener = try listen(.ipv4)
  defer { close(listener) }
  return localPort(of: listener)
}

private func listen(_ place: TestServer.Place) throws -> Int32 {
  let family =
    switch place {
    case .ipv4: AF_INET
    case .ipv6: AF_INET6
    case .unix: AF_UNIX
    }
  let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
  guard descriptor >= 0 else { throw CallFailed(call: "socket") }
  let code =
    switch place {
    case .ipv4:
      bind(
        descriptor,
        sockaddr_in(
          sin_family: UInt16(AF_INET), sin_port: 0,
          sin_addr: in_addr(s_addr: UInt32(0x7f00_0001).bigEndian), sin_zero: (0, 0, 0, 0, 0, 0, 0, 0)))
    case .ipv6:
      bind(
        descriptor,
        sockaddr_in6(
          sin6_family: UInt16(AF_INET6), sin6_port: 0, sin6_flowinfo: 0,
          sin6_addr: in6addr_loopback, sin6_scope_id: 0))
    case .unix(let path): bind(descriptor, unixAddress(path))
    }
  guard code == 0, listen(descriptor, 1024) == 0 else {
    let failure = CallFailed(call: "bind and listen")
    close(descriptor)
    throw failure
  }
  return descriptor
}

private func unixAddress(_ path: String) -> sockaddr_un {
  var address = sockaddr_un()
  address.sun_family = UInt16(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
  return address
}

private func bind(_ descriptor: Int32, _ address: some Any) -> Int32 {
  withUnsafeBytes(of: address) { bytes in
    // The pointer is to a whole address of the family that it names.
    guard let base = bytes.baseAddress else { return -1 }
    return Glibc.bind(descriptor, base.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
  }
}

private func localPort(of descriptor: Int32) -> Int {
  var address = sockaddr_in6()
  var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
  let code = withUnsafeMutableBytes(of: &address) { bytes in
    bytes.baseAddress.map { getsockname(descriptor, $0.assumingMemoryBound(to: sockaddr.self), &length) }
      ?? -1
  }
  // The port stands in the same place in both families' addresses.
  return code == 0 ? Int(UInt16(bigEndian: address.sin6_port)) : 0
}
