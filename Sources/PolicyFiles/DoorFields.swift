import MarkedYAML
import RolloutModel

/// The way to hosts.
struct DoorFields: Sendable {
  /// The words of an agent file.
  private enum Door: String, CaseIterable {
    case ssh, rpc, auto
  }

  /// The files and the port of the RPC door.
  fileprivate struct Means {
    var port: Int?
    var authority: String
    var certificate: String
    var key: String
    var token: String?
  }

  private let door = Field<Door>(
    "door",
    "ssh, rpc (through the agent that runs), or auto: rpc where a trusted agent answers, ssh otherwise",
    .word("door"), otherwise: .ssh)
  private let means: Field<Means?>

  init(folder: String) {
    means = .optional(
      "rpc", "what the RPC door needs: port, authority, certificate, key, token", .means(folder: folder))
  }

  var descriptions: [FieldDescription] { [door.description, means.description] }

  /// Nil where a problem was reported; nil inside where it is SSH.
  func read(_ record: RecordReader, publicPort: Int?, dependencies: [Dependency]) -> RPCDoorChoice?? {
    let door = record.read(door)
    let means = record.read(means)
    guard let door, let means, let publicPort else { return nil }
    guard door != .ssh else { return .some(nil) }
    guard let means else {
      record.report(
        "door", "door is \(door.rawValue), and nothing says how agents are spoken to",
        "add rpc: {authority: FILE, certificate: FILE, key: FILE}")
      return nil
    }
    if door == .rpc, dependencies.contains(where: { if case .http = $0 { true } else { false } }) {
      record.report(
        "door", "an agent opens no way to other hosts, and a dependency asks for http there",
        "write door: auto, or check it with tcp")
      return nil
    }
    return RPCDoorChoice(
      fallsBack: door == .auto, port: means.port ?? publicPort, authority: means.authority,
      certificate: means.certificate, key: means.key, token: means.token)
  }
}

extension Shape {
  /// Paths are relative to the file.
  fileprivate static func means(folder: String) -> Shape where Value == DoorFields.Means {
    let path = Shape<String>.text("a path", upTo: 1024).map { path, _, _ in
      path.hasPrefix("/") ? path : folder + path
    }
    let port = Field<Int?>.optional(
      "port", "the agents' port; public_port where it isn't given", .port("port"))
    let authority = Field("authority", "a PEM file: the authority of agents' certificates", path)
    let certificate = Field("certificate", "a PEM file: this controller's certificate", path)
    let key = Field("key", "a PEM file: its key", path)
    let token = Field<String?>.optional(
      "token", "a file, readable to its owner alone, that holds the agents' token", path)
    return .record(
      "rpc",
      [
        port.description, authority.description, certificate.description, key.description, token.description,
      ]
    ) { record in
      let port = record.read(port)
      let authority = record.read(authority)
      let certificate = record.read(certificate)
      let key = record.read(key)
      let token = record.read(token)
      guard let port, let authority, let certificate, let key, let token else { return nil }
      return DoorFields.Means(
        port: port, authority: authority, certificate: certificate, key: key, token: token)
    }
  }
}
