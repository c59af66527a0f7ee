import Glibc
import RolloutModel

/// One address to connect to.
struct SocketAddress {
  let family: Int32
  private var storage = sockaddr_storage()
  private let length: socklen_t

  private init(_ info: addrinfo) {
    family = info.ai_family
    length = min(info.ai_addrlen, socklen_t(MemoryLayout<sockaddr_storage>.size))
    if let address = info.ai_addr {
      withUnsafeMutableBytes(of: &storage) {
        $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(length)))
      }
    }
  }

  /// Calls `body` with the address as the system's calls take it.
  func with<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    withUnsafePointer(to: storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
    }
  }

  /// A host's addresses. Names are looked up by the system's own program, which can be given up: the call in this process
  /// can't, and a resolver that is down would hold it for many seconds.
  static func resolve(host: String, port: Int, deadline: Deadline) throws(HostFailure) -> [SocketAddress] {
    if let numeric = numeric(host, port) { return [numeric] }
    if host == "localhost" { return ["127.0.0.1", "::1"].compactMap { numeric($0, port) } }
    let result = try HostCommand.run(
      ["getent", "ahosts", "--", host], deadline: deadline.remaining, outputLimit: 16 * 1024)
    var addresses: [SocketAddress] = []
    var seen: [Substring] = []
    for line in result.outputText.split(whereSeparator: \.isNewline) {
      guard let text = line.split(separator: " ").first, !seen.contains(text) else { continue }
      seen.append(text)
      if let address = numeric(String(text), port) { addresses.append(address) }
    }
    guard !addresses.isEmpty else {
      throw HostFailure(
        .notFound, "the name \(escapedForTerminal(host, limit: 100)) has no address here",
        hint: "look at the host's resolver and /etc/hosts")
    }
    return addresses
  }

  private static func numeric(_ host: String, _ port: Int) -> SocketAddress? {
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), &hints, &list) == 0, let first = list else { return nil }
    defer { freeaddrinfo(first) }
    return SocketAddress(first.pointee)
  }
}
