import Dispatch
import FoundationEssentials
import Glibc
import RolloutModel

/// Why an order did not reach a running controller.
public struct ControlError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What failed and why.
  public let description: String
  /// Whether nobody listens: there is no running controller.
  public let isNobodyThere: Bool

  init(_ what: String, code: Int32) {
    description = "\(what): \(String(cString: strerror(code)))"
    isNobodyThere = code == ENOENT || code == ECONNREFUSED
  }

  init(_ what: String, isNobodyThere: Bool = false) {
    description = what
    self.isNobodyThere = isNobodyThere
  }
}

/// The client's side of a controller's control socket, and what both sides share.
public enum ControlSocket {
  /// Sends an order to the controller that listens at `path` and waits at most `seconds` for its answer.
  public static func send(_ order: Order, to path: String, seconds: Int) async throws(ControlError)
    -> ControlReply
  {
    // Blocking calls with a timeout of their own, on a thread that is nobody's executor.
    let result: Result<ControlReply, ControlError> = await withCheckedContinuation { done in
      DispatchQueue.global().async {
        do throws(ControlError) {
          done.resume(returning: .success(try exchange(order, path: path, seconds: seconds)))
        } catch {
          done.resume(returning: .failure(error))
        }
      }
    }
    return try result.get()
  }

  private static func exchange(_ order: Order, path: String, seconds: Int) throws(ControlError)
    -> ControlReply
  {
    let address = try address(path)
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw ControlError("no socket can be made", code: errno) }
    defer { close(descriptor) }
    var patience = timeval(tv_sec: seconds, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
    }
    guard with(address, { connect(descriptor, $0, $1) }) == 0 else {
      throw ControlError("the controller at \(path) can't be reached", code: errno)
    }
    guard isTrusted(descriptor) else { throw ControlError("the control socket \(path) is another user's") }
    let line: [UInt8]
    do { line = try canonicalJSON(order) + [UInt8(ascii: "\n")] } catch {
      throw ControlError("the order could not be encoded: \(error)")
    }
    guard Glibc.send(descriptor, line, line.count, Int32(MSG_NOSIGNAL)) == line.count else {
      throw ControlError("the order could not be sent to \(path)", code: errno)
    }
    var received: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !received.contains(UInt8(ascii: "\n")) {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0, received.count < 65_536 else {
        // Orders may be given twice: what a controller that ended has not answered is said to the next one.
        throw count < 0 && errno != ECONNRESET
          ? ControlError("the controller did not answer", code: errno)
          : ControlError("the controller ended before it answered", isNobodyThere: true)
      }
      received += buffer[..<count]
    }
    do { return try JSONDecoder().decode(ControlReply.self, from: Data(received)) } catch {
      throw ControlError("the controller's answer can't be read: \(error)")
    }
  }

  /// Nil for a path that a socket can have; else the most bytes that one may have.
  public static func tooLong(_ path: String) -> Int? {
    let longest = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1
    return path.utf8.count > longest ? longest : nil
  }

  static func address(_ path: String) throws(ControlError) -> sockaddr_un {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    if let longest = tooLong(path) {
      throw ControlError(
        "the control socket's path is longer than \(longest) bytes: \(path); use a shorter --state")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return address
  }

  static func with(_ address: sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }

  /// Whether the peer is this user or root.
  static func isTrusted(_ descriptor: Int32) -> Bool {
    // The kernel's struct ucred, which Glibc's module does not show: process, user, group.
    var peer: (pid: Int32, uid: UInt32, gid: UInt32) = (0, 0, 0)
    var size = socklen_t(MemoryLayout.size(ofValue: peer))
    guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0, size == 12 else { return false }
    return peer.uid == geteuid() || peer.uid == 0
  }
}
