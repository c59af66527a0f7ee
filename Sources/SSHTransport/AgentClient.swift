import EventLoop
import Glibc

/// A connection to an ssh-agent. One request at a time; lives on the loop. A broken connection answers with nil.
final class AgentClient {
  /// A key that the agent holds.
  struct Identity: Hashable, Sendable {
    var key: PublicKey
    var comment: String
  }

  private let loop: EventLoop
  private let descriptor: Int32
  private var watch: Watch?
  private var output: [UInt8] = []
  private var input: [UInt8] = []
  private var answer: (([UInt8]?) -> Void)?

  private static let longestReply = 256 * 1024

  init(path: String, loop: EventLoop) throws(LocalFileError) {
    self.loop = loop
    let (descriptor, code) = connectedUnixSocket(path)
    self.descriptor = descriptor
    guard code == 0 else {
      if descriptor >= 0 { Glibc.close(descriptor) }
      throw LocalFileError(path: path, code: code)
    }
  }

  deinit { Glibc.close(descriptor) }

  /// Ends what is under way.
  func close() {
    watch?.cancel()
    watch = nil
    let pending = answer
    answer = nil
    pending?(nil)
  }

  /// The agent's keys; nil when it doesn't answer properly.
  func identities(_ done: @escaping ([Identity]?) -> Void) {
    request([11]) { reply in done(reply.flatMap(Self.identities)) }
  }

  /// The bare signature of `data` by the agent's `key`, without its type; nil when the agent refuses.
  func sign(_ data: [UInt8], with key: PublicKey, _ done: @escaping ([UInt8]?) -> Void) {
    request([13] + wire(key.blob) + wire(data) + wire(0)) { reply in
      var reader = WireReader(reply ?? [])
      guard reader.byte() == 14, let blob = reader.string() else { return done(nil) }
      var signature = WireReader(blob)
      guard signature.text() == key.type else { return done(nil) }
      done(signature.string())
    }
  }

  private static func identities(_ reply: [UInt8]) -> [Identity]? {
    var reader = WireReader(reply)
    guard reader.byte() == 12, let count = reader.uint32() else { return nil }
    var identities: [Identity] = []
    for _ in 0..<count {
      guard let blob = reader.string(), let comment = reader.string() else { return nil }
      if let key = PublicKey(blob: blob) {
        identities.append(Identity(key: key, comment: String(decoding: comment, as: UTF8.self)))
      }
    }
    return identities
  }

  private func request(_ message: [UInt8], _ done: @escaping ([UInt8]?) -> Void) {
    guard answer == nil else { return done(nil) }
    answer = done
    output = wire(message)
    input = []
    do {
      if watch == nil { watch = try loop.watch(descriptor, .write) { [weak self] _ in self?.move() } }
      watch?.setInterest(.write)
    } catch {
      close()
    }
  }

  private func move() {
    while !output.isEmpty {
      let count = send(descriptor, output, output.count, Int32(MSG_NOSIGNAL))
      if count > 0 { output.removeFirst(count) } else { return errno == EAGAIN ? () : close() }
    }
    watch?.setInterest(.read)
    var buffer = [UInt8](repeating: 0, count: 16384)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { return count < 0 && errno == EAGAIN ? () : close() }
      // Nothing was asked: whatever this is, it must not pile up.
      guard answer != nil else { return close() }
      input += buffer.prefix(count)
      var reader = WireReader(input)
      if let length = reader.uint32(), length > Self.longestReply { return close() }
      reader = WireReader(input)
      if let message = reader.string() {
        let done = answer
        answer = nil
        done?(message)
        return
      }
    }
  }
}

/// A non-blocking Unix socket connected to `path`, with the error number, 0 for none.
func connectedUnixSocket(_ path: String) -> (descriptor: Int32, code: Int32) {
  unixSocket(path) { connect($0, $1, $2) }
}

/// A non-blocking Unix socket listening at `path`, with the error number, 0 for none.
func listeningUnixSocket(_ path: String) -> (descriptor: Int32, code: Int32) {
  unixSocket(path) { descriptor, address, size in
    let result = bind(descriptor, address, size)
    return result == 0 ? listen(descriptor, 64) : result
  }
}

private func unixSocket(
  _ path: String, _ body: (Int32, UnsafePointer<sockaddr>?, socklen_t) -> Int32
) -> (descriptor: Int32, code: Int32) {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  let bytes = Array(path.utf8)
  // One byte stays zero, as the end.
  guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return (-1, ENAMETOOLONG) }
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
  let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
  let descriptor = socket(AF_UNIX, type, 0)
  guard descriptor >= 0 else { return (-1, errno) }
  let result = withUnsafeBytes(of: &address) { bytes in
    body(descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
  }
  return (descriptor, result == 0 ? 0 : errno)
}
