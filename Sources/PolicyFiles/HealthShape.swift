import MarkedYAML
import RolloutModel

extension Shape where Value == ProbeDefinition {
  /// One probe: `http: /path`, `https: /path` or `tcp: true`, with its options.
  static var probe: Shape {
    let http = Field<String?>.optional("http", "the path of a GET in clear text", .requestPath)
    let https = Field<String?>.optional("https", "the path of a GET over TLS", .requestPath)
    let tcp = Field<TCPQuestion?>.optional(
      "tcp", "true, or a port: a TCP connection is accepted", .tcpQuestion)
    let verify = Field<Bool?>.optional("verify", "whether the certificate is checked", .flag)
    let port = Field<Int?>.optional("port", "another port than the slot's or the public one", .port("port"))
    let expect = Field<Expectation?>.optional("expect", "what the answer must be", .expectation)
    let fields = [
      http.description, https.description, tcp.description, verify.description, port.description,
      expect.description,
    ]
    return .record("a probe", fields) { record in
      let http = record.read(http)
      let https = record.read(https)
      let tcp = record.read(tcp)
      let verify = record.read(verify)
      let port = record.read(port)
      let expect = record.read(expect)
      guard isOneQuestion(record) else { return nil }
      guard let http, let https, let tcp, let verify, let port, let expect else { return nil }
      if verify != nil, https == nil {
        record.diagnostics.report(
          record.entry("verify")?.keyPlace ?? record.place, "verify without https",
          "remove it, or probe https: /PATH")
        return nil
      }
      if let path = http {
        return ProbeDefinition(question: .http(path: path), port: port, expect: expect ?? Expectation())
      }
      if let path = https {
        return ProbeDefinition(
          question: .https(path: path, verify: verify ?? Defaults.verify), port: port,
          expect: expect ?? Expectation())
      }
      if expect != nil {
        record.diagnostics.report(
          record.entry("expect")?.keyPlace ?? record.place, "a TCP probe has no answer to expect",
          "remove expect, or probe http: /PATH")
        return nil
      }
      return ProbeDefinition(question: .tcp, port: tcp?.port ?? port)
    }
  }

  private static func isOneQuestion(_ record: RecordReader) -> Bool {
    let questions = ["http", "https", "tcp"].compactMap(record.entry)
    if questions.isEmpty {
      record.diagnostics.report(
        record.place, "the probe asks nothing", "add http: /PATH, https: /PATH or tcp: true")
      return false
    }
    if let second = questions.map(\.keyPlace).sorted().dropFirst().first {
      record.diagnostics.report(second, "the probe asks two things", "write two probes")
      return false
    }
    if case .some(.scalar(let text, _)) = record.entry("tcp")?.value.content, text != "true",
      let port = record.entry("port")
    {
      record.diagnostics.report(
        port.keyPlace, "the probe names two ports", "keep tcp: \(printable(text)) alone")
      return false
    }
    return true
  }
}

/// What stands behind `tcp:` in a probe.
struct TCPQuestion: Sendable {
  /// Nil for the slot's or the public port.
  let port: Int?
}

extension Shape where Value == TCPQuestion {
  /// `true` or a port.
  static let tcpQuestion = Shape(schema: .object([:])) { node, diagnostics in
    if case .scalar("true", isPlain: true) = node.content { return TCPQuestion(port: nil) }
    if case .scalar(let text, _) = node.content, wholeNumber(text) != nil {
      return Shape<Int>.port("tcp").read(node, diagnostics).map { TCPQuestion(port: $0) }
    }
    diagnostics.report(node.place, "tcp is \(node.found)", "write tcp: true, or the port to connect to")
    return nil
  }
}

extension Shape where Value == Expectation {
  /// What an answer must be.
  static var expectation: Shape {
    let status = Field("status", "the status code", .integer("status", 100...599), default: Defaults.status)
    let json = Field("json", "values in the JSON body, by path", .jsonFields, otherwise: [])
    let body = Field<String?>.optional("body", "text that occurs in the body", .template("body", upTo: 4096))
    let matches = Field<String?>.optional(
      "body_matches", "a regular expression that matches somewhere in the body", .expression)
    let header = Field("header", "header fields by name", .headers, otherwise: [])
    let fields = [
      status.description, json.description, body.description, matches.description, header.description,
    ]
    return .record("expect", fields) { record in
      let status = record.read(status)
      let json = record.read(json)
      let body = record.read(body)
      let matches = record.read(matches)
      let header = record.read(header)
      guard let status, let json, let body, let matches, let header else { return nil }
      return Expectation(status: status, json: json, body: body, bodyMatches: matches, headers: header)
    }
  }
}

extension Shape where Value == [HeaderField] {
  /// Header fields by name.
  static let headers = Shape(schema: .object(["type": .text("object")])) { node, diagnostics in
    guard let entries = node.entries, entries.count <= 32 else {
      diagnostics.report(node.place, "header must be a mapping of at most 32 fields", "write NAME: VALUE")
      return nil
    }
    let fields = entries.compactMap { entry -> HeaderField? in
      guard Shape<String>.isHeaderName(entry.key) else {
        diagnostics.report(
          entry.keyPlace, "\(quoted(entry.key)) is no header field's name", "use letters, digits and \"-\"")
        return nil
      }
      return Shape<String>.template(entry.key, upTo: 4096).read(entry.value, diagnostics)
        .map { HeaderField(name: entry.key, value: $0) }
    }
    return fields.count == entries.count ? fields : nil
  }
}

extension Shape where Value == [JSONField] {
  /// Values by path.
  static let jsonFields = Shape(schema: .object(["type": .text("object")])) { node, diagnostics in
    guard let entries = node.entries, entries.count <= 64 else {
      diagnostics.report(node.place, "json must be a mapping of at most 64 values", "write PATH: VALUE")
      return nil
    }
    let fields = entries.compactMap { entry -> JSONField? in
      let parts = entry.key.split(separator: ".", omittingEmptySubsequences: false)
      guard entry.key.utf8.count <= 256, !parts.contains(""), parts.count <= 32,
        !entry.key.unicodeScalars.contains(where: { $0.value < 0x20 })
      else {
        diagnostics.report(
          entry.keyPlace, "\(quoted(entry.key)) is no path in a JSON body",
          "write keys joined by dots, a.b for instance")
        return nil
      }
      return scalar(entry, diagnostics).map { JSONField(path: entry.key, value: $0) }
    }
    return fields.count == entries.count ? fields : nil
  }

  private static func scalar(_ entry: MarkedEntry, _ diagnostics: Diagnostics) -> JSONScalar? {
    let node = entry.value
    guard case .scalar(let text, let isPlain) = node.content else {
      let inner = node.entries?.first?.key ?? "0"
      diagnostics.report(
        node.place, "the expected value is \(node.found)",
        "write the path to one value: \(printable(entry.key)).\(printable(inner)): VALUE")
      return nil
    }
    guard isPlain else { return string(text, node, diagnostics) }
    if text == "null" || text == "~" { return .null }
    if text == "true" || text == "false" { return .flag(text == "true") }
    if ["yes", "no", "on", "off"].contains(text.lowercased()) {
      diagnostics.report(
        node.place, "\(quoted(text)) is a truth value to some readers and text to others",
        "write true, false or quotes")
      return nil
    }
    if text.isEmpty {
      diagnostics.report(node.place, "\(quoted(entry.key)) has no expected value", "write one, or null")
      return nil
    }
    if let first = text.utf8.first, (48...57).contains(first) || "+-.".utf8.contains(first),
      let number = Double(text)
    {
      if number.isFinite, !text.lowercased().contains("x") { return .number(number) }
      diagnostics.report(
        node.place, "\(quoted(text)) is no JSON number", "write a finite decimal number, or quotes")
      return nil
    }
    if [".nan", ".inf", "-.inf", "+.inf"].contains(text.lowercased()) {
      diagnostics.report(
        node.place, "\(quoted(text)) is no JSON number", "write a finite decimal number, or quotes")
      return nil
    }
    return string(text, node, diagnostics)
  }

  private static func string(_ text: String, _ node: MarkedNode, _ diagnostics: Diagnostics) -> JSONScalar? {
    guard text.utf8.count <= 4096 else {
      diagnostics.report(node.place, "the expected text is longer than 4096 bytes", "shorten it")
      return nil
    }
    if let complaint = PlaceholderCheck.complaint(text) {
      diagnostics.report(node.place, complaint.what, complaint.instead)
      return nil
    }
    return .text(text)
  }
}
