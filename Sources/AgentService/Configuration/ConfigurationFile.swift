import MarkedYAML
import NIOCore
import RolloutModel

/// Reads the agent's configuration.
public enum ConfigurationFile {
  /// What a file says. Errors: everything that is wrong, each with its place. Where this program has nothing to read revocation
  /// lists with, a file that names one is refused: it would be believed to count.
  public static func load(path: String, readsRevocations: Bool) throws(FileProblems) -> AgentConfiguration {
    try parse(BoundedFile.read(path: path), name: path, readsRevocations: readsRevocations)
  }

  /// What the bytes of a file say; errors call the file `name`.
  public static func parse(
    _ bytes: [UInt8], name: String, readsRevocations: Bool
  ) throws(FileProblems) -> AgentConfiguration {
    let node = try MarkedYAML.parse(bytes, file: name)
    let diagnostics = Diagnostics(file: name)
    let configuration = read(node, diagnostics, readsRevocations)
    try diagnostics.throwIfAny()
    guard let configuration else {
      throw FileProblems(
        file: name, what: "the file is no configuration of the agent", instead: "write KEY: VALUE")
    }
    return configuration
  }

  private static let keys = [
    "listen", "certificate", "key", "authority", "revoked", "controllers", "host_socket", "playbook_socket",
    "tunnels", "drain", "state", "upload_limit", "upload_total", "token_sha256", "services", "commands",
  ]

  /// The longest path of a Unix socket, without the zero byte at its end.
  private static let socketPathLimit = 107

  private static func read(
    _ node: MarkedNode, _ diagnostics: Diagnostics, _ readsRevocations: Bool
  ) -> AgentConfiguration? {
    guard let file = MappingReader(node, "the configuration", keys: keys, diagnostics) else { return nil }
    let certificate = file.required("certificate", "the file of the agent's certificate and its chain")
      .flatMap { file.path($0, "certificate") }
    let key = file.required("key", "the file of the certificate's key").flatMap { file.path($0, "key") }
    let authority = file.required("authority", "the file of the clients' authority")
      .flatMap { file.path($0, "authority") }
    let revoked = file.value("revoked").flatMap { file.path($0, "revoked") }
    if !readsRevocations, let place = file.value("revoked")?.place {
      diagnostics.report(
        place, "this program was built without what reads revocation lists",
        "remove the key, and name the controllers instead")
    }
    let controllers = file.value("controllers").flatMap { node in
      file.list(node, "controllers", 1...256) { file.text($0, "a controller's name", upTo: 253) }
    }
    let socket = file.value("host_socket", otherwise: "/run/switchyard/host.sock") {
      file.path($0, "host_socket", upTo: socketPathLimit)
    }
    let playbooks = file.value("playbook_socket").flatMap {
      file.path($0, "playbook_socket", upTo: socketPathLimit)
    }
    let tunnels = file.value("tunnels", otherwise: []) { node in
      file.list(node, "tunnels", 0...256) { file.port($0, "a tunnel's port") }
    }
    let drain = file.value("drain", otherwise: .seconds(30)) {
      file.span($0, "drain", .zero ... .seconds(3600))
    }
    let state = file.value("state", otherwise: "/var/lib/switchyard-agent") {
      file.path($0, "state", upTo: 1024)
    }
    let limit = file.value("upload_limit", otherwise: 256 << 20) { file.size($0, "upload_limit") }
    let total = file.value("upload_total", otherwise: 1 << 30) { file.size($0, "upload_total") }
    if let limit, let total, limit > total,
      let place = (file.node["upload_limit"] ?? file.node["upload_total"])?.place
    {
      diagnostics.report(
        place, "upload_limit is above upload_total", "let upload_total be at least \(limit)B")
    }
    let token = file.value("token_sha256", otherwise: nil) { tokenHash($0, file) }
    let services = file.value("services", otherwise: []) { node in
      file.list(node, "services", 0...64) { service($0, file) }
    }
    let commands = file.value("commands", otherwise: [:]) { CommandFields.read($0, diagnostics) }
    let listen = file.value("listen", otherwise: "0.0.0.0") { address($0, file) }
    guard let certificate, let key, let authority, let socket, let tunnels, let drain, let state,
      let limit, let total, let token, let services,
      let commands, let listen
    else { return nil }
    var configuration = AgentConfiguration(
      listen: listen, certificate: certificate, key: key, authority: authority, revoked: revoked,
      controllers: controllers, hostSocket: socket, tunnels: tunnels, drain: drain, state: state,
      uploadLimit: limit, uploadTotal: total, tokenHash: token, services: services,
      commands: commands)
    if let playbooks { configuration.playbookSocket = playbooks }
    return configuration
  }

  private static func tokenHash(_ node: MarkedNode, _ file: MappingReader) -> Digest? {
    guard let text = node.text, let digest = Digest(text) else {
      // What stands there may be the token itself: it is not repeated.
      file.diagnostics.report(
        node.place, "token_sha256 is no SHA-256", "write 64 hexadecimal digits: printf %s TOKEN | sha256sum")
      return nil
    }
    return digest
  }

  private static func service(_ node: MarkedNode, _ file: MappingReader) -> ServiceName? {
    guard let text = file.text(node, "a service", upTo: 255) else { return nil }
    guard let name = ServiceName(text) else {
      file.diagnostics.report(
        node.place, "\(quoted(text)) is no service unit's name", "write NAME.service, without a path")
      return nil
    }
    return name
  }

  private static func address(_ node: MarkedNode, _ file: MappingReader) -> String? {
    guard let text = file.text(node, "listen", upTo: 45) else { return nil }
    do { _ = try SocketAddress(ipAddress: text, port: 0) } catch {
      file.diagnostics.report(
        node.place, "listen is \(quoted(text)), no IP address", "write one, as 0.0.0.0 or \"::\"")
      return nil
    }
    return text
  }
}
