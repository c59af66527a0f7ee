import MarkedYAML
import RolloutModel

/// What of an agent file ends up in unit files, in paths and on command lines is held to lists of allowed characters.
extension Shape where Value == String {
  /// Text in which placeholders are filled in.
  static func template(_ what: String, upTo length: Int) -> Shape {
    text(what, upTo: length, check: PlaceholderCheck.complaint)
  }

  /// A user's name.
  static let user = text("user", upTo: 31, pattern: "^[a-z_][a-z0-9_-]*$") { text in
    let isName =
      consists(text, first: "_", rest: "_-") && text == text.lowercased()
      && text.utf8.first.map { !(48...57).contains($0) } ?? false
    return isName
      ? nil
      : Complaint("\(quoted(text)) is no user name", "use a-z, 0-9, \"_\" and \"-\", beginning with a letter")
  }

  /// A path inside the release.
  static let pathInRelease = text("exec", upTo: 512, pattern: "^[A-Za-z0-9._+@~=-][A-Za-z0-9._+@~=/-]*$") {
    text in
    if text.hasPrefix("/") {
      return Complaint(
        "exec is the absolute path \(quoted(text))",
        "write the path inside the archive, bin/agent for instance")
    }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    if parts.contains("..") {
      return Complaint("exec leaves the release: \(quoted(text))", "write a path without ..")
    }
    if parts.contains("") || parts.contains(".") {
      return Complaint(
        "exec has an empty part: \(quoted(text))", "write folders and a file name with single slashes")
    }
    guard consists(text, first: "._+@~=-", rest: "._+@~=/-") else {
      return Complaint("exec is \(quoted(text))", "use letters, digits and . _ + @ ~ = - in the path")
    }
    return nil
  }

  /// A service unit's name.
  static let serviceUnit = text("unit", upTo: 255, pattern: "^[A-Za-z0-9][A-Za-z0-9:_.@-]*\\.service$") {
    text in
    if ServiceName(text) != nil { return nil }
    let fixed = consists(text, first: "", rest: ":_.@-") && !text.contains(".")
    return Complaint(
      "\(quoted(text)) is no service unit's name",
      fixed ? "write \(text).service" : "write NAME.service, without a path")
  }

  /// The path of a request.
  static let requestPath = text("the path", upTo: 1024, pattern: "^/") { text in
    if let complaint = PlaceholderCheck.complaint(text) { return complaint }
    let plain = PlaceholderCheck.neutralised(text)
    if plain.hasPrefix("http://") || plain.hasPrefix("https://") {
      return Complaint(
        "the path is a whole URL: \(quoted(text))", "write the path alone, /health for instance")
    }
    guard plain.hasPrefix("/") else { return Complaint("the path is \(quoted(text))", "begin it with /") }
    guard plain.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !plain.contains("#") else {
      return Complaint(
        "the path \(quoted(text)) holds a character that a URL can't", "write it as %20 and the like")
    }
    return nil
  }

  /// A regular expression.
  static let expression = text("body_matches", upTo: 1000) { text in
    if let complaint = PlaceholderCheck.complaint(text) { return complaint }
    do {
      // Some expressions are refused only when they are first used.
      _ = try Regex(PlaceholderCheck.neutralised(text)).firstMatch(in: "")
      return nil
    } catch {
      return Complaint(
        "\(quoted(text)) is no regular expression (\(printable("\(error)")))",
        "correct it, or use body for plain text")
    }
  }

  /// The name of a header field.
  static func isHeaderName(_ name: String) -> Bool {
    name.utf8.count <= 128 && consists(name, first: "!#$%&'*+-.^_`|~", rest: "!#$%&'*+-.^_`|~")
  }

  /// The name of an environment variable.
  static func isVariableName(_ name: String) -> Bool {
    name.utf8.count <= 128 && consists(name, first: "_", rest: "_")
      && !(name.utf8.first.map { (48...57).contains($0) } ?? true)
  }

  /// A program: a name to be found on the host's path, or an absolute path.
  static func program(_ what: String, absolute: Bool) -> Shape {
    text(what, upTo: 512) { text in
      let parts = text.split(separator: "/", omittingEmptySubsequences: false)
      let isGood =
        text.hasPrefix("/")
        ? parts.dropFirst().allSatisfy { $0 != "" && $0 != ".." } : !absolute && parts.count == 1
      guard isGood, consists(text, first: "/._+", rest: "/._+-") else {
        return Complaint(
          "\(what) is \(quoted(text))",
          absolute ? "write the program's absolute path" : "write a program's name or absolute path")
      }
      return nil
    }
  }
}

extension Shape where Value == AgentName {
  /// An agent's name.
  static let agentName = Shape<String>.text("agent", upTo: 31, pattern: "^[a-z][a-z0-9-]{0,30}$") { text in
    if AgentName(text) != nil { return nil }
    if AgentName.reserved.contains(text) {
      return Complaint(
        "\(quoted(text)) is what Switchyard itself has on a host, and no agent's name", "choose another name")
    }
    let lower = text.lowercased().map { $0 == "_" || $0 == " " || $0 == "." ? "-" : $0 }
    return Complaint(
      "\(quoted(text)) is no agent's name",
      AgentName(String(lower)).map { "did you mean \($0)?" }
        ?? "use a-z, 0-9 and \"-\", at most 31, beginning with a letter")
  }.map { text, _, _ in AgentName(text) }
}
