import Glibc

/// An address to connect to, as the system's calls take it.
struct SocketAddress: Hashable, Sendable {
  let family: Int32
  let bytes: [UInt8]
}

/// No address for a name.
struct NameLookupError: Error, Hashable, Sendable, CustomStringConvertible {
  var description: String
}

/// The addresses of a name or numeric address, in the system's order of preference. It blocks: not for the loop.
func lookUp(host: String, port: Int, family: Int32) throws(NameLookupError) -> [SocketAddress] {
  var hints = addrinfo()
  hints.ai_family = family
  hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
  hints.ai_flags = AI_NUMERICSERV
  var list: UnsafeMutablePointer<addrinfo>?
  let code = getaddrinfo(host, String(port), &hints, &list)
  guard code == 0 else {
    let reason = code == EAI_SYSTEM ? String(cString: strerror(errno)) : String(cString: gai_strerror(code))
    throw NameLookupError(description: "\(host): \(reason)")
  }
  defer { freeaddrinfo(list) }
  var addresses: [SocketAddress] = []
  var next = list
  while let info = next?.pointee {
    if let address = info.ai_addr {
      let bytes = UnsafeRawBufferPointer(start: address, count: Int(info.ai_addrlen))
      addresses.append(SocketAddress(family: info.ai_family, bytes: Array(bytes)))
    }
    next = info.ai_next
  }
  guard !addresses.isEmpty else { throw NameLookupError(description: "\(host): no address") }
  return addresses
}
