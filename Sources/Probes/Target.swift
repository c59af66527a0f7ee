import Glibc
import Ports
import RolloutModel

/// What libcurl is told of a request, once everything that reaches a URL or a path has been checked.
struct Target: Hashable {
  /// Why a request can't be asked.
  struct Invalid: Error, Hashable {
    /// What is wrong and what would be right, escaped.
    var reason: String
  }

  /// Scheme, host, port and path.
  var url: String
  /// The Unix socket to go through, if any.
  var socket: String?

  /// The target of a request. Values were checked when files were read; here is the last place to refuse what could
  /// mean another host, another path or another line of the request.
  init(_ request: ProbeRequest) throws(Invalid) {
    let (address, port): (String, Int)
    switch request.route {
    case .direct(let there, let number):
      (address, port, socket) = (there, number, nil)
    case .tunnel(let path, let there, let number):
      (address, port, socket) = (there, number, try Self.checkedSocket(path))
    }
    guard (1...65535).contains(port) else { throw Invalid(reason: "port \(port) is not one of 1 to 65535") }
    let host = try Self.urlHost(address)
    switch request.probe.question {
    case .http(let path): url = "http://\(host):\(port)\(try Self.checkedPath(path))"
    case .https(let path, _): url = "https://\(host):\(port)\(try Self.checkedPath(path))"
    case .tcp: url = "http://\(host):\(port)/"
    }
  }

  /// A name, an IPv4 address, or an IPv6 address in brackets, its zone escaped.
  private static func urlHost(_ address: String) throws(Invalid) -> String {
    let isName =
      !address.isEmpty && address.utf8.count <= 253 && address.utf8.allSatisfy { isNameByte($0) }
    if isName { return address }
    let parts = address.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
    var parsed = in6_addr()
    if let literal = parts.first, literal.utf8.count <= 45, !literal.utf8.contains(0),
      inet_pton(AF_INET6, String(literal), &parsed) == 1
    {
      guard parts.count == 2 else { return "[\(literal)]" }
      let zone = parts[1]
      if (1...15).contains(zone.utf8.count), zone.utf8.allSatisfy({ isNameByte($0) }) {
        return "[\(literal)%25\(zone)]"
      }
    }
    throw Invalid(
      reason: "address \(quoted(address)) can't stand in a URL: an IP address or an ASCII name can")
  }

  private static func checkedPath(_ path: String) throws(Invalid) -> String {
    let isPath =
      path.utf8.first == UInt8(ascii: "/") && path.utf8.count <= 2048
      && path.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "#") }
    guard isPath else {
      throw Invalid(
        reason: "path \(quoted(path)) can't be asked: it begins with / and has visible ASCII without #")
    }
    return path
  }

  private static func checkedSocket(_ path: String) throws(Invalid) -> String {
    // 107: what `sun_path` holds beside its final zero.
    guard !path.isEmpty, path.utf8.count <= 107, !path.utf8.contains(0) else {
      throw Invalid(reason: "tunnel \(quoted(path)) is not a path of 1 to 107 bytes")
    }
    return path
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}

/// Text from outside between quotation marks, escaped and cut to a readable length.
func quoted(_ text: some StringProtocol) -> String { "\"\(escapedForTerminal(text, limit: 80))\"" }
