import Glibc

/// A TCP socket that listens.
struct ListeningSocket: Hashable {
  /// Its port.
  var port: Int
  /// Its number among the kernel's sockets, as /proc/PID/fd names it.
  var inode: String
}

/// The TCP sockets of this network namespace that listen, on whatever address.
///
/// The kernel is asked by netlink (sock_diag(7)): it then walks the listening sockets only. /proc/net/tcp, which is read where
/// that is not to be had, walks the hash table of all connections, which takes milliseconds on a host with much memory.
enum ListeningSockets {
  static func on(_ ports: [Int]) -> [ListeningSocket] {
    (ask() ?? readTables()).filter { ports.contains($0.port) }
  }

  /// Numbers of linux/sock_diag.h and linux/inet_diag.h.
  private enum Wire {
    static let family: Int32 = 4
    static let byFamily: UInt16 = 20
    static let listening: UInt32 = 1 << 10
    /// `inet_diag_req_v2`: the family at 0, the protocol at 1, the wanted states at 4.
    static let requestBytes = 56
    /// In `inet_diag_msg`; the port is in network order.
    static let port = 4
    static let inode = 68
  }

  /// Nil where the kernel does not answer that way.
  private static func ask() -> [ListeningSocket]? {
    guard let socket = NetlinkSocket(family: Wire.family) else { return nil }
    var found: [ListeningSocket] = []
    for family in [AF_INET, AF_INET6] {
      var request = [UInt8](repeating: 0, count: Wire.requestBytes)
      request[0] = UInt8(family)
      request[1] = UInt8(IPPROTO_TCP)
      request.withUnsafeMutableBytes { $0.storeBytes(of: Wire.listening, toByteOffset: 4, as: UInt32.self) }
      guard let messages = socket.ask(Wire.byFamily, request, dump: true) else { return nil }
      for message in messages {
        guard let port = NetlinkSocket.integer(UInt16.self, in: message.body, at: Wire.port),
          let inode = NetlinkSocket.integer(UInt32.self, in: message.body, at: Wire.inode)
        else { return nil }
        found.append(ListeningSocket(port: Int(UInt16(bigEndian: port)), inode: "\(inode)"))
      }
    }
    return found
  }

  /// The same from the tables for people.
  static func readTables() -> [ListeningSocket] {
    var found: [ListeningSocket] = []
    for table in ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"] {
      let text = ProcFiles.text(table, limit: 64 << 20) ?? ""
      for line in text.split(separator: "\n").dropFirst() {
        // sl local_address rem_address st … inode is the tenth field; state 0A is LISTEN.
        let fields = line.split(separator: " ")
        guard fields.count > 9, fields[3] == "0A", let colon = fields[1].lastIndex(of: ":"),
          let port = Int(fields[1][fields[1].index(after: colon)...], radix: 16)
        else { continue }
        found.append(ListeningSocket(port: port, inode: String(fields[9])))
      }
    }
    return found
  }
}
