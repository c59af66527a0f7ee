import Glibc
import RolloutModel

/// Asks whether something on this host answers, without any library for it: enough to know that a side is alive.
package enum LocalAnswer {
  /// Nil where an agent's side answers one health probe on its port; else what was wrong, escaped for a terminal. Of an HTTP
  /// answer the status counts alone; TLS is asked for a TCP connection only. With `pastTraffic` the nftables driver's rules
  /// are passed by: who listens on the public port itself is asked, whoever owns it (needs the right to mark sockets).
  package static func failure(
    of probe: ProbeDefinition, port: Int, deadline: Span, pastTraffic: Bool = false
  ) -> String? {
    let port = probe.port ?? port
    switch probe.question {
    case .tcp, .https:
      return tcpFailure(host: "localhost", port: port, deadline: deadline, pastTraffic: pastTraffic)
    case .http(let path):
      let status = probe.expect.status
      return httpFailure(
        path: path, port: port, status: status, deadline: deadline, pastTraffic: pastTraffic)
    }
  }

  /// Nil where a TCP connection is accepted by one of the host's addresses; else why none was.
  package static func tcpFailure(
    host: String, port: Int, deadline: Span, pastTraffic: Bool = false
  ) -> String? {
    do throws(HostFailure) {
      _ = try Connection(host: host, port: port, deadline: Deadline(in: deadline), marked: pastTraffic)
      return nil
    } catch { return error.message }
  }

  private static func httpFailure(path: String, port: Int, status: Int, deadline: Span, pastTraffic: Bool)
    -> String?
  {
    let title = "GET http://localhost:\(port)\(escapedForTerminal(path, limit: 100))"
    guard path.utf8.first == UInt8(ascii: "/"), path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      return "\(title): the path can't stand in a request"
    }
    do throws(HostFailure) {
      let connection = try Connection(
        host: "localhost", port: port, deadline: Deadline(in: deadline), marked: pastTraffic)
      let request =
        "GET \(path) HTTP/1.1\r\nHost: localhost:\(port)\r\nConnection: close\r\nUser-Agent: switchyard-host\r\n\r\n"
      try connection.send(Array(request.utf8))
      // "HTTP/1.1 200 " and what follows until the line's end.
      let line = try connection.line(limit: 1024)
      let words = line.split(separator: " ", maxSplits: 2)
      guard words.count >= 2, words[0].hasPrefix("HTTP/1."), words[1].utf8.count == 3,
        let found = Int(words[1])
      else { return "\(title): the answer is no HTTP: \(escapedForTerminal(line, limit: 80))" }
      return found == status ? nil : "\(title): status \(found), expected \(status)"
    } catch { return "\(title): \(error.message)" }
  }
}

/// One TCP connection, each step of it with the same deadline.
private final class Connection {
  private let socket: Descriptor
  private let deadline: Deadline
  private let peer: String

  /// Connects to the first of the host's addresses that accepts.
  init(host: String, port: Int, deadline: Deadline, marked: Bool) throws(HostFailure) {
    self.deadline = deadline
    peer = "\(escapedForTerminal(host, limit: 100)) port \(port)"
    var failure = HostFailure(.system, "\(peer) has no address")
    let addresses = try SocketAddress.resolve(host: host, port: port, deadline: deadline)
    for (place, address) in addresses.enumerated() {
      // One that drops what is sent to it leaves time for the others.
      let share = deadline.remaining.milliseconds / Int64(addresses.count - place)
      do throws(HostFailure) {
        let limit = Deadline(in: Span(milliseconds: share))
        socket = try Self.connect(address, peer: peer, deadline: limit, marked: marked)
        return
      } catch { failure = error }
    }
    throw failure
  }

  func send(_ bytes: [UInt8]) throws(HostFailure) {
    // A request of one small piece fits into the buffer of a new connection.
    let sent = bytes.withUnsafeBytes {
      Glibc.send(socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    guard sent == bytes.count else { throw systemFailure("sending to \(peer)") }
  }

  /// The first line of what comes, without its end.
  func line(limit: Int) throws(HostFailure) -> String {
    var bytes: [UInt8] = []
    while bytes.count < limit {
      try wait(POLLIN, for: "an answer")
      guard let piece = try readOnce(socket.number, limit: limit, what: "reading from \(peer)") else {
        continue
      }
      guard !piece.isEmpty else {
        throw HostFailure(
          .system, bytes.isEmpty ? "\(peer) closed without an answer" : "\(peer) closed in its answer")
      }
      bytes += piece
      if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
        let text = bytes[..<end].last == UInt8(ascii: "\r") ? bytes[..<end].dropLast() : bytes[..<end]
        return String(decoding: text, as: UTF8.self)
      }
    }
    throw HostFailure(.system, "the first line of the answer of \(peer) is too long")
  }

  private func wait(_ event: Int32, for what: String) throws(HostFailure) {
    try Self.wait(socket, event, deadline, "\(peer): \(what)")
  }

  private static func connect(
    _ address: SocketAddress, peer: String, deadline: Deadline, marked: Bool
  ) throws(HostFailure) -> Descriptor {
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let number = Glibc.socket(address.family, kind, 0)
    guard number >= 0 else { throw systemFailure("making a socket") }
    let socket = Descriptor(owning: number)
    if marked {
      var mark = NftRuleset.mark
      guard setsockopt(socket.number, SOL_SOCKET, SO_MARK, &mark, socklen_t(MemoryLayout<UInt32>.size)) == 0
      else { throw systemFailure("marking a socket") }
    }
    if address.with({ Glibc.connect(socket.number, $0, $1) }) != 0 {
      guard errno == EINPROGRESS else { throw systemFailure("connecting to \(peer)") }
      try wait(socket, POLLOUT, deadline, "connecting to \(peer)")
    }
    var error: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(socket.number, SOL_SOCKET, SO_ERROR, &error, &size) == 0, error == 0 else {
      throw systemFailure("connecting to \(peer)", error)
    }
    return socket
  }

  private static func wait(
    _ socket: Descriptor, _ event: Int32, _ deadline: Deadline, _ what: String
  ) throws(HostFailure) {
    while !deadline.passed {
      var wait = pollfd(fd: socket.number, events: Int16(event), revents: 0)
      if poll(&wait, 1, deadline.pollTimeout()) > 0 { return }
    }
    throw HostFailure(.deadline, "\(what): timed out")
  }
}
