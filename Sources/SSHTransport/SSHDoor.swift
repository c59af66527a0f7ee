import EventLoop
import FoundationEssentials
import Glibc
import Ports
import RolloutModel
import Synchronization

/// The SSH door: the way to every host, one per controller.
public final class SSHDoor: Doors {
  private struct Contents {
    var channels: [Host: SSHHostChannel] = [:]
    var links: [SSHTarget: HostLink] = [:]
    var tunnels: [String: Tunnel] = [:]
    var lastTunnel = 0
    var program: Task<HostProgram, any Error>?
    var isClosed = false
  }

  let options: SSHOptions
  let loop: EventLoop
  package let pool: BlockingPool
  private let names: BlockingPool
  /// Sets what this door makes, here and on hosts, apart from that of other controllers.
  let mark: String
  private let configuration: ConfigurationSource
  private let surroundings: LinkSurroundings
  /// Where the tunnels' sockets are: for the door's user alone.
  package let folder: String
  private let contents = Mutex(Contents())

  /// A door that works on `loop`. Fails when the folder for tunnels can't be made.
  public init(options: SSHOptions, loop: EventLoop) throws(DoorError) {
    self.options = options
    self.loop = loop
    mark = UUID().uuidString.lowercased().prefix { $0 != "-" } + "\(getpid())"
    do throws(LocalFileError) {
      folder = try Self.makeFolder(options.tunnelFolder)
    } catch {
      throw DoorError(.local, "the folder for tunnels: \(error)")
    }
    pool = BlockingPool(threads: 8)
    names = BlockingPool(threads: 8)
    let user = LocalUser.current()
    configuration = ConfigurationSource(
      pool: pool, user: user, program: options.sshProgram, file: options.configurationFile)
    surroundings = LinkSurroundings(
      loop: loop, names: names, dialer: Dialer(loop: loop),
      handshakes: Limiter(options.handshakes, loop: loop),
      credentials: CredentialSource(pool: pool, home: user.home), options: options)
  }

  /// The channel to a host; opens nothing yet. The same one for the same host.
  public func channel(to host: Host) -> any HostChannel { sshChannel(to: host) }

  func sshChannel(to host: Host) -> SSHHostChannel {
    contents.withLock { contents in
      if let channel = contents.channels[host] { return channel }
      let channel = SSHHostChannel(host: host, mark: "\(mark)-\(contents.channels.count)", door: self)
      contents.channels[host] = channel
      return channel
    }
  }

  /// Closes every connection and tunnel, and ends the door's threads; the loop goes on. The door can't be used again.
  public func close() async {
    let closing = contents.withLock { contents in
      defer { contents = Contents(isClosed: true) }
      return contents
    }
    for channel in closing.channels.values { await channel.close() }
    for tunnel in closing.tunnels.values { await tunnel.close() }
    for link in closing.links.values { await link.close() }
    rmdir(folder)
    pool.end()
    names.end()
  }

  /// Starts a program on a host as another user, which we must be able to become. `arguments` reach it as they are.
  package func start(
    _ arguments: [String], on host: Host, as user: String
  ) async throws(DoorError) -> any HostStream {
    do throws(SSHError) {
      let connection = try await link(to: host).freeConnection()
      let becoming =
        connection.target.user == "root" ? ["runuser", "-u", user, "--"] : ["sudo", "-n", "-u", user, "--"]
      let id = try await connection.start(command: shellQuoted(becoming + arguments))
      return SSHStream(connection: connection, program: id)
    } catch {
      throw DoorError(error, isAsked: false)
    }
  }

  // MARK: For the channels

  /// The link to a host, with the links of its jump hosts.
  func link(to host: Host) async throws(SSHError) -> HostLink {
    let target = try await configuration.target(for: host)
    let found = contents.withLock { contents -> HostLink? in
      contents.isClosed ? nil : link(to: target, in: &contents)
    }
    guard let found else { throw target.error(.closed) }
    return found
  }

  private func link(to target: SSHTarget, in contents: inout Contents) -> HostLink {
    if let link = contents.links[target] { return link }
    var jump: HostLink?
    if var last = target.jumps.last {
      last.jumps = Array(target.jumps.dropLast())
      jump = link(to: last, in: &contents)
    }
    let link = HostLink(target: target, jump: jump, surroundings: surroundings)
    contents.links[target] = link
    return link
  }

  /// The host program, read and digested once.
  func program() async throws(DoorError) -> HostProgram {
    let task = contents.withLock { contents in
      if let task = contents.program { return task }
      let (pool, path) = (pool, options.hostProgram)
      let task = Task { try await pool.run { try HostProgram(path: path) } }
      contents.program = task
      return task
    }
    do {
      return try await task.value
    } catch {
      // It may be put right meanwhile.
      contents.withLock { if $0.program == task { $0.program = nil } }
      throw DoorError(.local, "the host program: \(error)", hint: "it is installed beside switchyard")
    }
  }

  /// The socket of the tunnel through `link` to `host:port`; there is one for all who ask.
  func tunnel(through link: HostLink, to host: String, port: Int) async throws(DoorError) -> String {
    let key = "\(link.target.place) \(host) \(port)"
    let tunnel = contents.withLock { contents -> Tunnel? in
      if let tunnel = contents.tunnels[key] { return tunnel }
      if contents.isClosed { return nil }
      contents.lastTunnel += 1
      let path = "\(folder)/\(mark)-\(contents.lastTunnel)"
      let tunnel = Tunnel(path: path, through: link, to: host, port: port, loop: loop)
      contents.tunnels[key] = tunnel
      return tunnel
    }
    guard let tunnel else { throw DoorError(link.target.error(.closed), isAsked: false) }
    do throws(LocalFileError) {
      // Also where it has stopped listening for want of a connection.
      try await tunnel.open()
    } catch {
      throw DoorError(.local, "a tunnel's socket: \(error)")
    }
    return tunnel.path
  }

  /// An own folder with mode 0700, empty.
  private static func makeFolder(_ wanted: String?) throws(LocalFileError) -> String {
    if let wanted {
      guard mkdir(wanted, 0o700) == 0 || errno == EEXIST else {
        throw LocalFileError(path: wanted, code: errno)
      }
      var status = stat()
      guard lstat(wanted, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == getuid(),
        status.st_mode & 0o077 == 0
      else { throw LocalFileError(path: wanted, code: 0, other: "not a folder of ours with mode 0700") }
      return wanted
    }
    let base = getenv("XDG_RUNTIME_DIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array((base + "/switchyard-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw LocalFileError(path: base, code: errno) }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
