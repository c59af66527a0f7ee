import Glibc

/// What `ssh -G` prints: keywords in lower case with their values, in order.
struct ResolvedConfiguration: Sendable {
  private var values: [String: [String]] = [:]

  init(_ text: String) {
    for line in text.split(whereSeparator: \.isNewline) {
      guard let space = line.firstIndex(of: " ") else { continue }
      let value = line[line.index(after: space)...]
      values[line[..<space].lowercased(), default: []].append(String(value))
    }
  }

  /// The first value; nil where it is not there or says `none`.
  subscript(keyword: String) -> String? {
    guard let value = values[keyword]?.first, value.lowercased() != "none" else { return nil }
    return value
  }

  /// Whether a value beside the host's own name has `name` in it.
  func mentions(_ name: String) -> Bool {
    values.contains { keyword, values in
      keyword != "hostname" && keyword != "host" && values.contains { $0.contains(name) }
    }
  }

  /// Every value of a keyword that may come more than once.
  func all(_ keyword: String) -> [String] { values[keyword] ?? [] }
}

/// The person who runs the controller, for `~` and `%` in paths.
struct LocalUser: Sendable {
  var name: String
  var home: String
  var agentSocket: String?

  /// The one whom this process belongs to.
  static func current() -> LocalUser {
    let home = getenv("HOME").map { String(cString: $0) }
    let socket = getenv("SSH_AUTH_SOCK").map { String(cString: $0) }
    let entry = getpwuid(getuid())?.pointee
    // ssh itself goes by the password file, and not by HOME.
    return LocalUser(
      name: entry.map { String(cString: $0.pw_name) } ?? "\(getuid())",
      home: entry.map { String(cString: $0.pw_dir) } ?? home ?? "/",
      agentSocket: socket.flatMap { $0.isEmpty ? nil : $0 })
  }
}

extension ResolvedConfiguration {
  /// The target without its jump hosts; an error's text where this door can't do what is asked. `placeholder` is the
  /// name that was asked about, where the answer is the same for all. `knownHostsFiles`: those of the user that were
  /// asked for, since what ssh prints of them can't be taken apart where a path has a blank.
  func target(
    for name: String, placeholder: String, user local: LocalUser, knownHostsFiles: [String] = []
  ) throws(ConfigurationProblem) -> SSHTarget {
    if let command = self["proxycommand"] {
      throw ConfigurationProblem("ProxyCommand (\(command)) can't be used; ProxyJump can")
    }
    guard let port = Int(self["port"] ?? "22"), (1...65535).contains(port) else {
      throw ConfigurationProblem("its port is not one of 1 to 65535")
    }
    let resolved = self["hostname"] ?? name
    let address = resolved == placeholder ? name : resolved
    let user = self["user"] ?? local.name
    let tokens: [Character: String] = [
      "%": "%", "d": local.home, "h": address, "i": "\(getuid())", "k": self["hostkeyalias"] ?? name,
      "n": name, "p": "\(port)", "r": user,
      "u": local.name,
    ]
    func path(_ value: String) -> String { expandedPath(value, home: local.home, tokens: tokens) }
    let ofUser = knownHostsFiles.isEmpty ? all("userknownhostsfile").flatMap(words) : knownHostsFiles
    let knownHosts = ofUser + all("globalknownhostsfile").flatMap(words)
    let timeout = self["connecttimeout"].flatMap { Int($0) }
    return SSHTarget(
      address: address, port: port, user: user,
      family: self["addressfamily"] == "inet"
        ? AF_INET : self["addressfamily"] == "inet6" ? AF_INET6 : AF_UNSPEC,
      identityFiles: all("identityfile").filter { $0.lowercased() != "none" }.map(path),
      identitiesOnly: self["identitiesonly"] == "yes", agentSocket: agentSocket(local, path: path),
      knownHostsFiles: knownHosts.filter { $0.lowercased() != "none" }.map(path),
      hostKeyAlias: self["hostkeyalias"],
      unknownKeys: ["no", "off", "false", "accept-new"].contains(self["stricthostkeychecking"])
        ? .accept : .refuse,
      connectTimeout: timeout.map { .seconds($0) }, jumps: [])
  }

  private func agentSocket(_ local: LocalUser, path: (String) -> String) -> String? {
    guard let value = all("identityagent").first, value != "SSH_AUTH_SOCK" else { return local.agentSocket }
    if value.lowercased() == "none" { return nil }
    guard value.hasPrefix("$") else { return path(value) }
    return getenv(String(value.dropFirst())).map { String(cString: $0) }
  }
}

/// What this door can't do with a configuration.
struct ConfigurationProblem: Error, Hashable, Sendable, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// Splits at blanks, except between double quotes, as ssh does with lists of files.
func words(_ text: String) -> [String] {
  var result: [String] = []
  var word = ""
  var (isQuoted, isStarted) = (false, false)
  for character in text {
    if character == "\"" {
      isQuoted.toggle()
      isStarted = true
    } else if character == " " || character == "\t", !isQuoted {
      if isStarted { result.append(word) }
      (word, isStarted) = ("", false)
    } else {
      word.append(character)
      isStarted = true
    }
  }
  return isStarted ? result + [word] : result
}

/// A path with `~/` and `%x` filled in; an unknown token stays as it is.
func expandedPath(_ path: String, home: String, tokens: [Character: String]) -> String {
  var rest = path[...]
  var result = ""
  if rest == "~" || rest.hasPrefix("~/") {
    result = home
    rest = rest.dropFirst()
  }
  while let character = rest.popFirst() {
    if character == "%", let token = rest.first, let value = tokens[token] {
      result += value
      rest = rest.dropFirst()
    } else {
      result.append(character)
    }
  }
  return result
}
