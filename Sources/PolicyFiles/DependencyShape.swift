import MarkedYAML
import RolloutModel

extension Shape where Value == Dependency {
  /// The keys of which a dependency has exactly one, each with the options that go with it.
  private static let kinds: [(key: String, options: [String])] = [
    ("command", ["version"]), ("disk_free", []), ("memory_free", []), ("port_free", []), ("tcp", []),
    ("http", ["status"]), ("file", []), ("python_module", ["interpreter", "version"]),
  ]

  /// One dependency.
  static var dependency: Shape {
    let command = Field<[String]?>.optional(
      "command", "a program that exits with 0", .command("command", absolute: false))
    let disk = Field<Int64?>.optional("disk_free", "bytes free where releases are stored", .size("disk_free"))
    let memory = Field<Int64?>.optional("memory_free", "bytes of memory available", .size("memory_free"))
    let port = Field<Int?>.optional("port_free", "a port on which nothing listens", .port("port_free"))
    let tcp = Field<Endpoint?>.optional("tcp", "HOST:PORT that accepts a connection", .endpoint)
    let http = Field<String?>.optional("http", "a URL that answers a GET", .url)
    let status = Field(
      "status", "the status of the answer", .integer("status", 100...599), default: Defaults.status)
    let file = Field<String?>.optional("file", "the absolute path of a file or folder", .absolutePath)
    let module = Field<String?>.optional("python_module", "a module that can be imported", .pythonModule)
    let interpreter = Field(
      "interpreter", "the interpreter that imports the module", .program("interpreter", absolute: false),
      otherwise: Defaults.interpreter)
    let version = Field<VersionBound?>.optional("version", "a bound such as \">=3.9\"", .versionBound)
    let fields = [
      command.description, disk.description, memory.description, port.description, tcp.description,
      http.description, status.description, file.description, module.description, interpreter.description,
      version.description,
    ]
    return .record("a dependency", fields) { record in
      let found: Dependency?
      switch kind(record) {
      case "command":
        let (command, version) = (record.read(command) ?? nil, record.read(version))
        guard let command, let version else { return nil }
        found = .command(argv: command, version: version)
      case "disk_free": found = (record.read(disk) ?? nil).map(Dependency.diskFree)
      case "memory_free": found = (record.read(memory) ?? nil).map(Dependency.memoryFree)
      case "port_free": found = (record.read(port) ?? nil).map(Dependency.portFree)
      case "tcp": found = (record.read(tcp) ?? nil).map { .tcp(host: $0.host, port: $0.port) }
      case "http":
        let (http, status) = (record.read(http) ?? nil, record.read(status))
        guard let http, let status else { return nil }
        found = .http(url: http, status: status)
      case "file": found = (record.read(file) ?? nil).map(Dependency.file)
      case "python_module":
        let (module, interpreter, version) = (
          record.read(module) ?? nil, record.read(interpreter), record.read(version)
        )
        guard let module, let interpreter, let version else { return nil }
        found = .pythonModule(name: module, interpreter: interpreter, version: version)
      default: return nil
      }
      return found
    }
  }

  /// The one kind that a dependency is of; nil where a problem was reported.
  private static func kind(_ record: RecordReader) -> String? {
    let present = kinds.filter { record.entry($0.key) != nil }
    guard let kind = present.first else {
      record.diagnostics.report(
        record.place, "the dependency names nothing to check",
        "add one of \(kinds.map(\.key).joined(separator: ", "))")
      return nil
    }
    guard present.count == 1 else {
      let second = present.compactMap { record.entry($0.key)?.keyPlace }.sorted().dropFirst().first
      record.diagnostics.report(
        second ?? record.place, "the dependency checks two things", "write two dependencies")
      return nil
    }
    let stray = ["version", "status", "interpreter"].filter { !kind.options.contains($0) }.compactMap(
      record.entry)
    for option in stray {
      record.diagnostics.report(option.keyPlace, "\(kind.key) has no option \(option.key)", "remove it")
    }
    return stray.isEmpty ? kind.key : nil
  }
}

/// A host and a port.
struct Endpoint: Sendable {
  let host: String
  let port: Int
}

extension Shape where Value == Endpoint {
  /// `HOST:PORT`, `[::1]:PORT`.
  static let endpoint = Shape<String>.text("tcp", upTo: 300).map { text, node, diagnostics in
    let pieces = text.split(separator: ":", omittingEmptySubsequences: false)
    let host: String
    if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
      host = String(text[text.index(after: text.startIndex)..<end])
      let rest = text[text.index(after: end)...]
      if host.contains(":"), rest.hasPrefix(":"), let port = endpointPort(rest.dropFirst()), isHost(host) {
        return Endpoint(host: host, port: port)
      }
    } else if pieces.count == 2, let port = endpointPort(pieces[1]), isHost(String(pieces[0])) {
      return Endpoint(host: String(pieces[0]), port: port)
    }
    diagnostics.report(
      node.place, "tcp is \(quoted(text))", "write HOST:PORT, with an IPv6 address in brackets")
    return nil
  }

  private static func endpointPort(_ text: Substring) -> Int? {
    wholeNumber(String(text)).flatMap { (1...65_535).contains($0) ? $0 : nil }
  }

  private static func isHost(_ text: String) -> Bool { consists(text, first: ":", rest: ".:_-") }
}

extension Shape where Value == VersionBound {
  /// A version bound.
  static let versionBound = Shape<String>.text("version", upTo: 100).map { text, node, diagnostics in
    if let bound = VersionBound(text) { return bound }
    diagnostics.report(
      node.place, "\(quoted(text)) is no bound on a version", "write it as \">=3.9\" or \">=3.9,<4\"")
    return nil
  }
}

extension Shape where Value == Int64 {
  /// Bytes with a unit: `200MB`, `1.5GiB`.
  static func size(_ what: String) -> Shape {
    Shape<String>.text(what, upTo: 40).map { text, node, diagnostics in
      guard let bytes = byteCount(text) else {
        diagnostics.report(node.place, "\(what) is \(quoted(text))", byteCountAdvice)
        return nil
      }
      return bytes
    }
  }
}

extension Shape where Value == String {
  /// An HTTP URL without a user or password.
  static let url = text("http", upTo: 2048) { text in
    let lower = text.lowercased()
    guard lower.hasPrefix("http://") || lower.hasPrefix("https://"),
      text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
    else { return Complaint("http is \(quoted(text))", "write a URL, http://HOST:PORT/PATH") }
    let authority =
      text.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
      .dropFirst(2).first.map { $0.prefix { !"/?#".contains($0) } } ?? ""
    if authority.contains("@") {
      return Complaint("the URL holds a user name or password", "remove what stands before the @")
    }
    return authority.isEmpty
      ? Complaint("the URL \(quoted(text)) names no host", "write http://HOST:PORT/PATH") : nil
  }

  /// An absolute path without `..`.
  static let absolutePath = text("file", upTo: 1024) { text in
    guard text.hasPrefix("/"), !text.split(separator: "/").contains("..") else {
      return Complaint("file is \(quoted(text))", "write an absolute path without ..")
    }
    return nil
  }

  /// A Python module's dotted name.
  static let pythonModule = text("python_module", upTo: 200) { text in
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.allSatisfy({ isVariableName(String($0)) }) else {
      return Complaint(
        "\(quoted(text)) is no Python module's name", "write the name that is imported, a.b for instance")
    }
    return nil
  }
}
