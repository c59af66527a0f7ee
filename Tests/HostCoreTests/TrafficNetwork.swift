import Glibc
import RolloutModel
import Testing

@testable import HostCore

/// A host, a client and another host, each in a network namespace of its own, with sockets of this process in them.
/// Removed at the end of its life.
final class TestNetwork {
  /// Which namespace.
  enum Place: String, CaseIterable { case host, client, other }

  static let hostAddresses = ["10.77.0.2", "10.77.0.3", "fd77::2", "fd77::3"]
  static let localAddresses = ["127.0.0.1", "127.0.0.9", "::1"]
  static let otherAddress = "10.78.0.9"

  private let prefix: String
  private let home: Int32

  init() throws {
    try #require(geteuid() == 0, "needs root, to make network namespaces")
    prefix = "swt\(getpid() % 100_000)\(UInt8.random(in: 10...99))"
    home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    for place in Place.allCases { try ip(["netns", "add", name(place)]) }
    try link("0", .host, .client)
    try link("1", .host, .other)
    for address in ["10.77.0.2/24", "10.77.0.3/24"] { try address4(address, .host, "0") }
    for address in ["fd77::2/64", "fd77::3/64"] { try address6(address, .host) }
    try address4("10.77.0.1/24", .client, "0")
    try address6("fd77::1/64", .client)
    try address4("10.78.0.2/24", .host, "1")
    try address4("10.78.0.9/24", .other, "1")
  }

  deinit {
    for place in Place.allCases {
      // One that is not there any more is removed already.
      _ = try? HostCommand.run(["ip", "netns", "delete", name(place)], deadline: .seconds(10))
    }
    close(home)
  }

  /// Runs `body`, and the programs that it starts, in a namespace.
  func inside<Result>(_ place: Place, _ body: () throws -> Result) throws -> Result {
    let number = open("/run/netns/\(name(place))", O_RDONLY | O_CLOEXEC)
    try #require(number >= 0)
    defer { close(number) }
    try #require(Self.enter(number))
    defer { _ = Self.enter(home) }
    return try body()
  }

  /// Runs `nft` on the host.
  @discardableResult
  func nft(_ argv: [String]) throws -> String {
    try inside(.host) {
      let result = try HostCommand.run(["nft"] + argv, deadline: .seconds(10), outputLimit: 1 << 20)
      try #require(result.status.isSuccess, "\(result.lastWords)")
      return result.outputText
    }
  }

  private func name(_ place: Place) -> String { "\(prefix)-\(place.rawValue)" }

  private func ip(_ argv: [String]) throws {
    let result = try HostCommand.run(["ip"] + argv, deadline: .seconds(10))
    try #require(result.status.isSuccess, "ip \(argv.joined(separator: " ")): \(result.lastWords)")
  }

  private func link(_ number: String, _ one: Place, _ two: Place) throws {
    try ip([
      "link", "add", "sw\(number)", "netns", name(one), "type", "veth", "peer", "name", "sw\(number)",
      "netns", name(two),
    ])
    for place in [one, two] {
      try ip(["-n", name(place), "link", "set", "lo", "up"])
      try ip(["-n", name(place), "link", "set", "sw\(number)", "up"])
    }
  }

  private func address4(_ address: String, _ place: Place, _ number: String) throws {
    try ip(["-n", name(place), "address", "add", address, "dev", "sw\(number)"])
  }

  private func address6(_ address: String, _ place: Place) throws {
    try ip(["-n", name(place), "address", "add", address, "dev", "sw0", "nodad"])
  }

  private static func enter(_ namespace: Int32) -> Bool {
    typealias Call = @convention(c) (Int32, Int32) -> Int32
    // Glibc's headers show setns only to programs that ask for GNU's extensions, which a Swift module can't.
    guard let symbol = dlsym(nil, "setns") else { return false }
    return unsafeBitCast(symbol, to: Call.self)(namespace, 0x4000_0000) == 0
  }
}

/// A socket of a test; closed at the end of its life.
final class TestSocket {
  let number: Int32

  private init(_ number: Int32) { self.number = number }

  deinit { close(number) }

  /// Listens on a port, on all addresses of both families, or on one alone.
  static func listener(_ port: Int, on address: String = "::") throws -> TestSocket {
    let (socket, found) = try make(address, port)
    var one: Int32 = 1
    setsockopt(socket.number, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    let bound = found.with { bind(socket.number, $0, $1) }
    try #require(bound == 0 && listen(socket.number, 64) == 0, "\(address) port \(port): \(errorText(errno))")
    return socket
  }

  /// Connects; nil where the connection is refused, or not accepted within `patience` milliseconds.
  static func connect(_ address: String, _ port: Int, patience: Int32 = 3000) throws -> TestSocket? {
    let (socket, found) = try make(address, port)
    guard found.with({ Glibc.connect(socket.number, $0, $1) }) == 0 || errno == EINPROGRESS else {
      return nil
    }
    guard socket.ready(POLLOUT, patience) else { return nil }
    var error: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(socket.number, SOL_SOCKET, SO_ERROR, &error, &size)
    return error == 0 ? socket : nil
  }

  /// The port that it is bound to.
  var port: Int? {
    var address = sockaddr_in6()
    var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let error = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(number, $0, &size) }
    }
    // The port stands at the same place in both families' addresses.
    return error == 0 ? Int(UInt16(bigEndian: address.sin6_port)) : nil
  }

  /// The same socket for a program, which blocks in its calls; so does this one from now on.
  func blockingCopy() -> Descriptor {
    _ = fcntl(number, F_SETFL, 0)
    return Descriptor(owning: dup(number))
  }

  /// The connection that waits to be accepted; nil where none does.
  func accept() -> TestSocket? {
    let number = Glibc.accept(number, nil, nil)
    guard number >= 0 else { return nil }
    _ = fcntl(number, F_SETFL, O_NONBLOCK)
    _ = fcntl(number, F_SETFD, FD_CLOEXEC)
    return TestSocket(number)
  }

  func ready(_ event: Int32, _ patience: Int32) -> Bool {
    var wait = pollfd(fd: number, events: Int16(event), revents: 0)
    return poll(&wait, 1, patience) > 0
  }

  /// Sends as much as fits; false where the connection is broken.
  func send(_ bytes: [UInt8]) -> Int {
    bytes.withUnsafeBytes { Glibc.send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
  }

  /// What came within `patience` milliseconds; nil where the connection is broken or nothing came.
  func receive(_ patience: Int32 = 3000) -> [UInt8]? {
    guard ready(POLLIN, patience), let bytes = try? readOnce(number, limit: 1 << 16, what: "a test's socket"),
      !bytes.isEmpty
    else { return nil }
    return bytes
  }

  private static func make(_ address: String, _ port: Int) throws -> (TestSocket, SocketAddress) {
    let found = try #require(
      try SocketAddress.resolve(host: address, port: port, deadline: Deadline(in: .seconds(1))).first)
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let number = socket(found.family, kind, 0)
    try #require(number >= 0)
    return (TestSocket(number), found)
  }
}

/// Agents that listen on the host, and the connections that clients have to them.
final class TestAgents {
  /// A client's connection and its other end.
  struct Connection {
    let client: TestSocket
    let server: TestSocket
    /// The agent that accepted it.
    let agent: String
    let title: String

    /// Whether bytes go through, both ways.
    var lives: Bool {
      guard client.send([1, 2, 3]) == 3, server.receive() == [1, 2, 3], server.send([4]) == 1 else {
        return false
      }
      return client.receive() == [4]
    }
  }

  let network: TestNetwork
  private var listeners: [(name: String, socket: TestSocket)] = []

  init(_ network: TestNetwork) { self.network = network }

  func listen(_ name: String, _ port: Int, at place: TestNetwork.Place = .host, on address: String = "::")
    throws
  {
    listeners.append((name, try network.inside(place) { try TestSocket.listener(port, on: address) }))
  }

  /// Connects from a place; nil where nobody accepts.
  func connect(_ place: TestNetwork.Place, _ address: String, _ port: Int = 8400) throws -> Connection? {
    guard let client = try network.inside(place, { try TestSocket.connect(address, port) }) else {
      return nil
    }
    for (name, socket) in listeners {
      if let server = socket.accept() {
        return Connection(client: client, server: server, agent: name, title: "\(place) to \(address)")
      }
    }
    return nil
  }

  /// Who accepts connections from everywhere to every address of the host, each once.
  func reached(port: Int = 8400) throws -> [String] {
    var found: [String] = []
    let ways =
      TestNetwork.hostAddresses.map { (TestNetwork.Place.client, $0) }
      + (TestNetwork.localAddresses + TestNetwork.hostAddresses).map { (.host, $0) }
    for (place, address) in ways {
      let agent = try connect(place, address, port)?.agent ?? "nobody"
      if !found.contains(agent) { found.append(agent) }
    }
    return found
  }

  /// One connection for each way to the public port.
  func connections() throws -> [Connection] {
    let remote = try TestNetwork.hostAddresses.map { try #require(try connect(.client, $0)) }
    let local = try (TestNetwork.localAddresses + ["10.77.0.3", "fd77::3"]).map {
      try #require(try connect(.host, $0))
    }
    return remote + local
  }
}
