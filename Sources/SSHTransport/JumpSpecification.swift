/// One hop of a `ProxyJump`: `[user@]host[:port]`, or `ssh://[user@]host[:port]`, with an IPv6 address in brackets.
struct JumpSpecification: Hashable, Sendable {
  var user: String?
  var host: String
  var port: Int?

  /// The hops of a list with commas. An error for text that is none.
  static func list(_ text: String) throws(ConfigurationProblem) -> [JumpSpecification] {
    var hops: [JumpSpecification] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) { hops.append(try hop(part)) }
    return hops
  }

  private static func hop(_ text: Substring) throws(ConfigurationProblem) -> JumpSpecification {
    let problem = ConfigurationProblem("`\(text)` is not [user@]host[:port], as ProxyJump wants it")
    var rest = text.drop { $0 == " " }
    if rest.hasPrefix("ssh://") { rest = rest.dropFirst(6) }
    var user: String?
    if let at = rest.lastIndex(of: "@") {
      user = String(rest[..<at])
      rest = rest[rest.index(after: at)...]
      if user?.isEmpty != false { throw problem }
    }
    let host: Substring
    if rest.hasPrefix("[") {
      guard let end = rest.firstIndex(of: "]") else { throw problem }
      host = rest[rest.index(after: rest.startIndex)..<end]
      rest = rest[rest.index(after: end)...]
    } else {
      host = rest.prefix { $0 != ":" }
      rest = rest.dropFirst(host.count)
    }
    var port: Int?
    if !rest.isEmpty {
      guard rest.hasPrefix(":"), let number = Int(rest.dropFirst()), (1...65535).contains(number) else {
        throw problem
      }
      port = number
    }
    // A name that begins with a dash would be an option of ssh.
    guard !host.isEmpty, !host.hasPrefix("-"), user?.hasPrefix("-") != true, !host.contains(" ") else {
      throw problem
    }
    return JumpSpecification(user: user, host: String(host), port: port)
  }
}
